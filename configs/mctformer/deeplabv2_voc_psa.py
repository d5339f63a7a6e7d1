# MCTformer V2 with LPCAM, then PSA, as its paper refines it. Never run on VOC.
_base_ = ['./deeplabv2_voc.py', '../_base_/chains/psa.py']

stages = dict(
    {
        **_base_.seed_stages,
        **_base_.psa_stages, 'maps': _base_.stages.maps
    },
    _delete_=True)
stage_configs = dict(
    psa_labels='{{ fileDirname }}/../psa/psa-labels_voc.py',
    psa='{{ fileDirname }}/../psa/psa_r50_voc.py')
