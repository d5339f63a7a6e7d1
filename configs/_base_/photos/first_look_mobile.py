# A first look with the features of MobileNetV2.
_base_ = './first_look.py'

stages = dict(
    classifier=dict(
        # no gradients but in the last stage, whose rate is 0
        model=dict(backbone=dict(frozen_stages=6)),
        optim_wrapper=dict(optimizer=dict(lr=1e-3)),  # ten times it: the head
        train_cfg=dict(max_epochs=8)))
