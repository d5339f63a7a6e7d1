# Image labels -> classifier -> maps -> confident labels -> IRN -> masks, on
# which the leaf config trains. It names the configs of `classifier`,
# `ir_labels` and `irn` in `stage_configs`. The thresholds are those of LPCAM.
runner_type = 'StagedRunner'
stages = dict(
    classifier=dict(task='train', config='classifier'),
    seed=dict(
        task='test',
        config='classifier',
        load_from='stage://classifier/last_checkpoint',
        test_evaluator=dict(out_file='stage://seed/scores.json')),
    maps=dict(
        task='label',
        config='classifier',
        load_from='stage://classifier/last_checkpoint',
        label_evaluator=dict(save_maps=True),
        model=dict(
            test_cfg=dict(
                map_type='lpcam',  # or 'cam'
                extra_map_types=(),
                bg_thr=0.3))),
    ir_labels=dict(
        task='label',
        config='ir_labels',
        model=dict(test_cfg=dict(fg_thr=0.45, bg_thr=0.25))),
    irn=dict(task='train', config='irn'),
    refined=dict(
        task='test',
        config='irn',
        load_from='stage://irn/last_checkpoint',
        test_evaluator=dict(out_file='stage://refined/scores.json')),
    labels=dict(
        task='label',
        config='irn',
        load_from='stage://irn/last_checkpoint',
        model=dict(test_cfg=dict(bg_thr=0.35))))
