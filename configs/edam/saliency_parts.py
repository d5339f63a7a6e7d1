# Maps of the stage `maps` and saliency maps in, masks out. SALIENCY names the
# folder of the saliency maps, <image id>.png.
_base_ = [
    '../_base_/models/saliency.py', '../_base_/datasets/parts.py',
    '../_base_/datasets/image_labels.py', '../_base_/schedules/no_training.py',
    '../_base_/default_runtime.py'
]

test_dataloader = dict(dataset=_base_.score_dataset)
test_evaluator = _base_.score_evaluator
label_dataloader = dict(dataset=_base_.label_dataset)
