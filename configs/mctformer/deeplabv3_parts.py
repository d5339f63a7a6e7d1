# MCTformer V2 with LPCAM in the place of PatchCAM on the generated dataset.
_base_ = '../lpcam/deeplabv3_parts.py'

stage_configs = dict(classifier='{{ fileDirname }}/mct_tiny_parts.py')
stages = dict(
    labels=dict(
        model=dict(
            test_cfg=dict(
                map_type='mct_lpcam',
                extra_map_types=('patchcam', 'mct', 'mct_patchcam',
                                 'mct_lpcam_f', 'mct_lpcam')))))
