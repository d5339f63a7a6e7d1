# The run of ../lpcam/deeplabv3_parts.py with PAR before the segmentor.
_base_ = ['../lpcam/deeplabv3_parts.py', '../_base_/chains/par.py']

# ---- often changed ---------------------------------------------------------
# background scores, tuned on the training images (tools/sweep_threshold.py)
stages = dict(_base_.seed_stages, **_base_.par_stages, _delete_=True)
stages['maps'].model.test_cfg.bg_thr = 0.4
stages['labels'].model.test_cfg.bg_thr = 0.26

stage_configs = dict(par='{{ fileDirname }}/par_parts.py')
