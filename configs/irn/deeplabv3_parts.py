# The run of ../lpcam/deeplabv3_parts.py with IRN before the segmentor.
_base_ = ['../lpcam/deeplabv3_parts.py', '../_base_/chains/irn.py']

# ---- often changed ---------------------------------------------------------
# background scores, tuned on the training images (tools/sweep_threshold.py)
stages = dict(_base_.seed_stages, **_base_.irn_stages, _delete_=True)
stages['maps'].model.test_cfg.bg_thr = 0.4
stages['ir_labels'].model = dict(test_cfg=dict(fg_thr=0.55, bg_thr=0.35))
stages['labels'].model.test_cfg.bg_thr = 0.32

stage_configs = dict(
    ir_labels='{{ fileDirname }}/ir-labels_parts.py',
    irn='{{ fileDirname }}/irn_r18_parts.py')
