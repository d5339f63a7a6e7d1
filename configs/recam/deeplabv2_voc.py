# LPCAM on ReCAM, then IRN, on PASCAL VOC 2012. Never run on VOC.
_base_ = '../irn/deeplabv2_voc.py'

stage_configs = dict(recam='{{ fileDirname }}/recam_r50_voc.py')
stages = dict(
    recam=dict(
        after='classifier',
        task='train',
        config='recam',
        title='ReCAM',
        load_from='stage://classifier/last_checkpoint'),
    maps=dict(
        config='recam',
        load_from='stage://recam/last_checkpoint',
        model=dict(
            test_cfg=dict(extra_map_types=('recam', 'lpcam_f', 'lpcam')))),
    seed=dict(config='recam'))
