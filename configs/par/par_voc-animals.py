# Maps of the stage `maps` in, masks out.
_base_ = [
    '../_base_/models/par.py', '../_base_/datasets/voc_animals.py',
    '../_base_/datasets/image_labels.py', '../_base_/schedules/no_training.py',
    '../_base_/default_runtime.py'
]

test_dataloader = dict(dataset=_base_.score_dataset)
test_evaluator = _base_.score_evaluator
label_dataloader = dict(dataset=_base_.label_dataset)
