# The second stage of the classifier, that of ReCAM, for `stages` of the leaf
# config, which names its config in `stage_configs`.
recam_stage = dict(
    after='classifier',
    task='train',
    config='recam',
    title='ReCAM',
    load_from='stage://classifier/last_checkpoint')
# what the stage that makes maps changes
recam_maps = dict(
    config='recam',
    load_from='stage://recam/last_checkpoint',
    model=dict(test_cfg=dict(extra_map_types=('recam', 'lpcam_f', 'lpcam'))))
