# MCTformer V2 with LPCAM in the place of PatchCAM, then IRN, on PASCAL VOC
# 2012. The masks of the paper come from PSA instead. Never run on VOC.
_base_ = '../irn/deeplabv2_voc.py'

stage_configs = dict(classifier='{{ fileDirname }}/mct_deit-s_voc.py')
stages = dict(
    maps=dict(
        model=dict(
            test_cfg=dict(
                map_type='mct_lpcam',
                extra_map_types=('patchcam', 'mct', 'mct_patchcam',
                                 'mct_lpcam_f', 'mct_lpcam')))))
