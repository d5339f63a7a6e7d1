# Maps of the stage `maps` in, the labels that IRN learns from out.
_base_ = [
    '../_base_/models/ir_labeler.py', '../_base_/datasets/parts.py',
    '../_base_/schedules/no_training.py', '../_base_/default_runtime.py'
]

model = dict(num_workers=2)
label_dataloader = dict(batch_size=16, dataset=_base_.label_dataset)
