# MCTformer V2 with LPCAM in the place of PatchCAM, then PSA, on coco-mini.
_base_ = '../psa/deeplabv3_coco-mini.py'

stage_configs = dict(classifier='{{ fileDirname }}/mct_deit-t_coco-mini.py')
stages = dict(
    maps=dict(
        model=dict(
            test_cfg=dict(
                map_type='mct_lpcam',
                extra_map_types=('patchcam', 'mct', 'mct_patchcam',
                                 'mct_lpcam_f', 'mct_lpcam')))))
