# What the project had before: a segmentor and its true masks.
_base_ = [
    './_base_/models/fcn_r18.py', './_base_/datasets/parts.py',
    './_base_/schedules/schedule_1k.py', './_base_/default_runtime.py'
]

model = dict(data_preprocessor=dict(size=_base_.crop_size))
