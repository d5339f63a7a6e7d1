# The run of ../lpcam/deeplabv3_voc-animals.py with PSA before the segmentor.
_base_ = ['../lpcam/deeplabv3_voc-animals.py', '../_base_/chains/psa.py']

# ---- often changed; as in deeplabv2_voc.py ---------------------------------
stages = dict(_base_.seed_stages, **_base_.psa_stages, _delete_=True)
stages['maps'].model.test_cfg.bg_thr = 0.3
# powers of the background score, as high as 0.45 and 0.25 in IRN
stages['psa_labels'].model.test_cfg.alphas = (1.3, 4.8)
stages['labels'].model.test_cfg.bg_thr = 0.35

stage_configs = dict(
    psa_labels='{{ fileDirname }}/psa-labels_voc-animals.py',
    psa='{{ fileDirname }}/psa_m-v2_voc-animals.py')
