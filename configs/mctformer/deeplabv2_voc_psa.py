# MCTformer V2 with LPCAM, then PSA, as its paper refines it. Never run on VOC.
_base_ = [
    '../irn/deeplabv2_voc.py', '../_base_/chains/psa.py',
    '../_base_/chains/mct.py'
]

stages = dict(_base_.seed_stages, **_base_.psa_stages, _delete_=True)
stages['maps'].model.test_cfg.update(
    _base_.mct_maps.model.test_cfg, bg_thr=0.3)
stage_configs = dict(
    classifier='{{ fileDirname }}/mct_deit-s_voc.py',
    psa_labels='{{ fileDirname }}/../psa/psa-labels_voc.py',
    psa='{{ fileDirname }}/../psa/psa_r50_voc.py')
