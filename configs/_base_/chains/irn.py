# Image labels -> classifier -> maps -> confident labels -> IRN -> masks, for
# `stages` of the leaf config. It trains on them, sets the thresholds, and
# names the configs of classifier, ir_labels and irn in `stage_configs`.
irn_stages = dict(
    classifier=dict(task='train', config='classifier', title='classifier'),
    maps=dict(
        task='label',
        config='classifier',
        title='seed',
        load_from='stage://classifier/last_checkpoint',
        label_evaluator=dict(save_maps=True),
        model=dict(
            test_cfg=dict(
                map_type='lpcam',  # or 'cam'
                # for the scores of `seed`
                extra_map_types=('cam', 'lpcam_f', 'lpcam')))),
    # scores the stored maps where there are true masks, as `refined` does
    seed=dict(task='score', config='classifier', title='seed', maps='maps'),
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
