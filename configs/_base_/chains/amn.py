# AMN between the confident labels and IRN, for `stages` of a leaf config with
# the chain of irn.py: it learns from the labels of the first stage, and IRN
# from those of its maps. Its config is `amn` in `stage_configs`.
amn_stages = dict(
    amn=dict(after='ir_labels', task='train', config='amn', title='AMN'),
    amn_maps=dict(
        after='amn',
        task='label',
        config='amn',
        title='AMN',
        load_from='stage://amn/last_checkpoint',
        label_evaluator=dict(save_maps=True)),
    amn_seed=dict(
        after='amn_maps',
        task='score',
        config='amn',
        title='AMN',
        maps='amn_maps'),
    amn_labels=dict(
        after='amn_seed',
        task='label',
        config='ir_labels',
        title='confident label of AMN',
        model=dict(
            map_dir='stage://amn_maps/maps',
            test_cfg=dict(fg_thr=0.45, bg_thr=0.15))),
    irn=dict(
        train_dataloader=dict(
            dataset=dict(label_dir='stage://amn_labels/masks'))),
    labels=dict(
        model=dict(
            map_dir='stage://amn_maps/maps',
            test_cfg=dict(power=1.3, bg_thr=0.25))))
