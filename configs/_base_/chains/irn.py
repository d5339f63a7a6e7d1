# Image labels -> classifier -> maps -> confident labels -> IRN -> masks, on
# which the leaf config trains. It names the configs of `classifier`,
# `ir_labels` and `irn` in `stage_configs`. The thresholds are those of LPCAM.
runner_type = 'StagedRunner'
stages = dict(
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
                extra_map_types=('cam', 'lpcam_f', 'lpcam'),
                bg_thr=0.3))),
    # scores the stored maps where there are true masks, as `refined` does
    seed=dict(task='score', config='classifier', title='seed', maps='maps'),
    ir_labels=dict(
        task='label',
        config='ir_labels',
        title='confident label',
        model=dict(test_cfg=dict(fg_thr=0.45, bg_thr=0.25))),
    irn=dict(task='train', config='irn', title='IRN'),
    labels=dict(
        task='label',
        config='irn',
        title='pseudo label',
        load_from='stage://irn/last_checkpoint',
        label_evaluator=dict(save_maps=True),
        model=dict(test_cfg=dict(bg_thr=0.35))),
    refined=dict(task='score', config='irn', title='refined', maps='labels'))
