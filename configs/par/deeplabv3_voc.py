# The run of ../lpcam/deeplabv3_voc.py with PAR before the segmentor. Never run
# on VOC.
_base_ = ['../lpcam/deeplabv3_voc.py', '../_base_/chains/par.py']

# ---- often changed ---------------------------------------------------------
stages = dict(_base_.seed_stages, **_base_.par_stages, _delete_=True)
stages['maps'].model.test_cfg.bg_thr = 0.3
stages['labels'].model.test_cfg.bg_thr = 0.3

stage_configs = dict(par='{{ fileDirname }}/par_voc.py')
