# The run of ../lpcam/deeplabv3_voc.py with IRN before the segmentor.
_base_ = ['../lpcam/deeplabv3_voc.py', '../_base_/chains/irn.py']

# ---- often changed ---------------------------------------------------------
stages = dict(_base_.seed_stages, **_base_.irn_stages, _delete_=True)
stages['maps'].model.test_cfg.bg_thr = 0.3
stages['ir_labels'].model = dict(test_cfg=dict(fg_thr=0.45, bg_thr=0.25))
stages['labels'].model.test_cfg.bg_thr = 0.35

stage_configs = dict(
    ir_labels='{{ fileDirname }}/ir-labels_voc.py',
    irn='{{ fileDirname }}/irn_r50_voc.py')
