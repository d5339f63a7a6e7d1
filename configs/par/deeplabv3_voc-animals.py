# The run of ../lpcam/deeplabv3_voc-animals.py with PAR before the segmentor.
_base_ = ['../lpcam/deeplabv3_voc-animals.py', '../_base_/chains/par.py']

# ---- often changed ---------------------------------------------------------
# background scores of the LPCAM paper, and tuned on the training images
stages = dict(_base_.seed_stages, **_base_.par_stages, _delete_=True)
stages['maps'].model.test_cfg.bg_thr = 0.3
stages['labels'].model.test_cfg.bg_thr = 0.3

stage_configs = dict(par='{{ fileDirname }}/par_voc-animals.py')
