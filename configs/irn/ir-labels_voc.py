# Maps of the stage `maps` in, the labels that IRN learns from out.
_base_ = [
    '../_base_/models/ir_labeler.py',
    '../_base_/datasets/voc12_image_labels.py', '../_base_/default_runtime.py'
]

# images of a batch are shared out to the workers of the model
label_dataloader = dict(batch_size=64)
model = dict(num_workers=16)
