# A first look with the features of ResNet-50.
_base_ = './first_look.py'

stages = dict(
    classifier=dict(
        model=dict(backbone=dict(frozen_stages=4)),
        train_cfg=dict(max_epochs=8)))
