# Maps -> confident labels -> AffinityNet -> masks, for `stages` of the leaf
# config, behind those of seed.py: PSA, as in MCTformer, whose background score
# is 0.39. The leaf trains on the masks, and names the configs of classifier,
# psa_labels and psa in `stage_configs`.
psa_stages = dict(
    psa_labels=dict(
        task='label',
        config='psa_labels',
        title='confident label',
        model=dict(test_cfg=dict(alphas=(1, 12)))),
    psa=dict(task='train', config='psa', title='AffinityNet'),
    labels=dict(
        task='label',
        config='psa',
        title='pseudo label',
        load_from='stage://psa/last_checkpoint',
        label_evaluator=dict(save_maps=True),
        model=dict(test_cfg=dict(bg_thr=0.39))),
    refined=dict(task='score', config='psa', title='refined', maps='labels'))
