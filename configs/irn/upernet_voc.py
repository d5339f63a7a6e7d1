# The paper's pipeline on PASCAL VOC 2012: LPCAM, IRN, UPerNet-Swin.
_base_ = [
    '../_base_/models/upernet_swin-t.py',
    '../_base_/datasets/voc12_pseudo_labels.py',
    '../_base_/schedules/adamw_40k.py', '../_base_/chains/irn_voc.py',
    '../_base_/tta_crf.py', '../_base_/default_runtime.py'
]

model = dict(data_preprocessor=dict(size=_base_.crop_size))
train_dataloader = dict(batch_size=16)  # on one GPU; 16 in all
