# Maps -> masks that follow the colours of the photos, for `stages` of the leaf
# config, behind those of seed.py: PAR, which trains nothing. The leaf trains
# on the masks, and names the configs of classifier and par in `stage_configs`.
par_stages = dict(
    labels=dict(
        task='label',
        config='par',
        title='pseudo label',
        label_evaluator=dict(save_maps=True),
        model=dict(test_cfg=dict())),
    refined=dict(task='score', config='par', title='refined', maps='labels'))
