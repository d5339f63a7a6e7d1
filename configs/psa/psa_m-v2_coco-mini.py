# AffinityNet on coco-mini: labels of `psa_labels` and maps in, masks out.
_base_ = ['../irn/irn_m-v2_coco-mini.py', '../_base_/models/psa_m-v2.py']

model = _base_.psa_model
model.decode_head.num_classes = _base_.num_classes
train_dataloader = dict(dataset=dict(label_dir='stage://psa_labels/masks'))
optim_wrapper = dict(optimizer=dict(lr=1e-3), paramwise_cfg=_base_.fast_head)
