# Maps of the stage `maps` in, the labels that IRN learns from out.
_base_ = [
    '../_base_/models/ir_labeller.py',
    '../_base_/datasets/coco_mini_image_labels.py',
    '../_base_/default_runtime.py'
]

label_dataloader = dict(
    batch_size=16,
    dataset=dict(
        _delete_=True,
        type='ActivationMapDataset',
        map_dir='stage://maps/maps',
        dataset=_base_.label_dataloader.dataset))
model = dict(num_workers=2)
