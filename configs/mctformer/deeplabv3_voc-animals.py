# MCTformer V2 with LPCAM in the place of PatchCAM, then PSA, on voc-animals.
_base_ = '../psa/deeplabv3_voc-animals.py'

stage_configs = dict(classifier='{{ fileDirname }}/mct_deit-t_voc-animals.py')
stages = dict(
    maps=dict(
        model=dict(
            test_cfg=dict(
                map_type='mct_lpcam',
                extra_map_types=('patchcam', 'mct', 'mct_patchcam',
                                 'mct_lpcam_f', 'mct_lpcam')))))
