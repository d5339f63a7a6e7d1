# IRNet on PASCAL VOC 2012: labels of the stage `ir_labels` in, masks refined
# from the maps of the stage `maps` out.
_base_ = [
    '../_base_/models/irn_r50.py', '../_base_/datasets/voc12_image_labels.py',
    '../_base_/datasets/irn_pipeline.py', '../_base_/schedules/irn_3e.py',
    '../_base_/default_runtime.py'
]

train_dataloader = dict(
    batch_size=32,
    dataset=dict(
        _delete_=True,
        type='PseudoLabelDataset',
        label_dir='stage://ir_labels/masks',
        dataset=dict(
            _base_.train_dataloader.dataset.dataset,
            pipeline=_base_.irn_pipeline)))
