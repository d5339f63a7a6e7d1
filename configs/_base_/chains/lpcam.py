# Image labels -> classifier -> maps and masks, on which the leaf config
# trains. It names the config of the classifier in `stage_configs`, and sets
# the threshold.
runner_type = 'StagedRunner'
stages = dict(
    classifier=dict(task='train', config='classifier', title='classifier'),
    labels=dict(
        task='label',
        config='classifier',
        title='pseudo label',
        load_from='stage://classifier/last_checkpoint',
        label_evaluator=dict(save_maps=True),
        model=dict(
            test_cfg=dict(
                map_type='lpcam',  # or 'cam'
                # for the scores of `seed`
                extra_map_types=('cam', 'lpcam_f', 'lpcam')))),
    # scores the stored maps where there are true masks
    seed=dict(task='score', config='classifier', title='seed', maps='labels'))
