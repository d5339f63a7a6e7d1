# MCTformer V2 with LPCAM in the place of PatchCAM, then IRN, on MS COCO. Never
# run on COCO.
_base_ = '../irn/deeplabv2_coco.py'

stage_configs = dict(classifier='{{ fileDirname }}/mct_deit-s_coco.py')
stages = dict(
    maps=dict(
        model=dict(
            test_cfg=dict(
                map_type='mct_lpcam',
                extra_map_types=('patchcam', 'mct', 'mct_patchcam',
                                 'mct_lpcam_f', 'mct_lpcam')))))
