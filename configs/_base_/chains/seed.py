# Image labels -> classifier -> maps: what all chains start with, for `stages`
# of the leaf config.
seed_stages = dict(
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
    seed=dict(task='score', config='classifier', title='seed', maps='maps'))
