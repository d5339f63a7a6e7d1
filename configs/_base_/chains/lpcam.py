# Image labels -> classifier -> masks, on which the leaf config trains. It
# names the config of the classifier in `stage_configs`.
runner_type = 'StagedRunner'
stages = dict(
    classifier=dict(task='train', config='classifier'),
    seed=dict(
        task='test',
        config='classifier',
        load_from='stage://classifier/last_checkpoint',
        test_evaluator=dict(out_file='stage://seed/scores.json')),
    labels=dict(
        task='label',
        config='classifier',
        load_from='stage://classifier/last_checkpoint',
        model=dict(
            test_cfg=dict(
                map_type='lpcam',  # or 'cam'
                extra_map_types=(),
                bg_thr=0.3))))  # LPCAM paper, Sec. 4.1
