# The run of ../lpcam/deeplabv3_voc-animals.py with IRN before the segmentor.
_base_ = ['../lpcam/deeplabv3_voc-animals.py', '../_base_/chains/irn.py']

# ---- often changed ---------------------------------------------------------
# background scores of the LPCAM settings for VOC, as in deeplabv2_voc.py
stages = dict(_base_.seed_stages, **_base_.irn_stages, _delete_=True)
stages['maps'].model.test_cfg.bg_thr = 0.3
stages['ir_labels'].model = dict(test_cfg=dict(fg_thr=0.45, bg_thr=0.25))
stages['labels'].model.test_cfg.bg_thr = 0.35

stage_configs = dict(
    ir_labels='{{ fileDirname }}/ir-labels_voc-animals.py',
    irn='{{ fileDirname }}/irn_m-v2_voc-animals.py')
