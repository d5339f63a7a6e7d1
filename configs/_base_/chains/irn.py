# Maps -> confident labels -> IRN -> masks, for `stages` of the leaf config,
# behind those of seed.py. The leaf trains on the masks, sets the thresholds,
# and names the configs of classifier, ir_labels and irn in `stage_configs`.
irn_stages = dict(
    ir_labels=dict(task='label', config='ir_labels', title='confident label'),
    irn=dict(task='train', config='irn', title='IRN'),
    labels=dict(
        task='label',
        config='irn',
        title='pseudo label',
        load_from='stage://irn/last_checkpoint',
        label_evaluator=dict(save_maps=True),
        model=dict(test_cfg=dict())),
    refined=dict(task='score', config='irn', title='refined', maps='labels'))
