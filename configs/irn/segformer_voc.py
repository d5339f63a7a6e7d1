# LPCAM, IRN and SegFormer-B2 on PASCAL VOC 2012.
_base_ = [
    '../_base_/models/segformer_mit-b2.py',
    '../_base_/datasets/voc12_pseudo_labels.py',
    '../_base_/schedules/adamw_40k.py', '../_base_/chains/irn_voc.py',
    '../_base_/tta_crf.py', '../_base_/default_runtime.py'
]

model = dict(data_preprocessor=dict(size=_base_.crop_size))
train_dataloader = dict(batch_size=16)  # on one GPU; 16 in all
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=10))))
