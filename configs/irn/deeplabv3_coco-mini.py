# The run of ../lpcam/deeplabv3_coco-mini.py with IRN before the segmentor.
_base_ = ['../lpcam/deeplabv3_coco-mini.py', '../_base_/chains/irn.py']

# ---- often changed ---------------------------------------------------------
# background scores, tuned on the training images (tools/sweep_threshold.py)
stages = dict(_base_.seed_stages, **_base_.irn_stages, _delete_=True)
stages['maps'].model.test_cfg.bg_thr = 0.5
stages['ir_labels'].model = dict(test_cfg=dict(fg_thr=0.65, bg_thr=0.4))
stages['labels'].model.test_cfg.bg_thr = 0.58

stage_configs = dict(
    ir_labels='{{ fileDirname }}/ir-labels_coco-mini.py',
    irn='{{ fileDirname }}/irn_m-v2_coco-mini.py')
