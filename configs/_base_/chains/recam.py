# The chain of lpcam.py with a second stage of the classifier, that of ReCAM,
# whose config is `recam` in `stage_configs`.
_base_ = './lpcam.py'

maker = dict(
    config='recam',
    load_from='stage://recam/last_checkpoint',
    model=dict(
        test_cfg=dict(
            map_type='lpcam',  # or 'recam'
            extra_map_types=('recam', 'lpcam_f', 'lpcam'))))
stages = dict(
    recam=dict(
        after='classifier',
        task='train',
        config='recam',
        title='ReCAM',
        load_from='stage://classifier/last_checkpoint'),
    labels=maker,
    seed=dict(config='recam'))
