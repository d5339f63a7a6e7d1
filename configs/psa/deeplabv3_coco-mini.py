# The run of ../lpcam/deeplabv3_coco-mini.py with PSA before the segmentor.
_base_ = ['../lpcam/deeplabv3_coco-mini.py', '../_base_/chains/psa.py']

# ---- often changed ---------------------------------------------------------
stages = dict(_base_.seed_stages, **_base_.psa_stages, _delete_=True)
stages['maps'].model.test_cfg.bg_thr = 0.5
# powers of the background score: more and less of it
stages['psa_labels'].model.test_cfg.alphas = (0.5, 2)
stages['labels'].model.test_cfg.bg_thr = 0.5

stage_configs = dict(
    psa_labels='{{ fileDirname }}/psa-labels_coco-mini.py',
    psa='{{ fileDirname }}/psa_m-v2_coco-mini.py')
