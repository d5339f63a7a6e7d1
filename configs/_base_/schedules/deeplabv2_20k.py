# Schedule of deeplab-pytorch on VOC: 20k optimiser steps of 2 x 5 images.
#
# MMEngine counts batches, not steps: with accumulative_counts=2 the 20k steps
# are max_iters=40000, and the learning rate ends at 40000 too, so that it
# falls as fast per step. (deeplab-pytorch updates it every 10 steps.) The
# batch size stands in datasets/voc12_pseudo_labels_321.py and is for one GPU.
#
# On COCO: 100k steps of 2 x 10 images with lr=2e-4, which makes
# max_iters=200000, end=200000 and train_dataloader.batch_size=10.
_base_ = './schedule_20k.py'

optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=2.5e-4, momentum=0.9, weight_decay=5e-4),
    # biases of ASPPV2Head: twice the rate of its weights and no decay; the
    # longest key that fits a parameter wins
    paramwise_cfg=dict(
        custom_keys={
            'decode_head': dict(lr_mult=10),
            'decode_head.convs.0.bias': dict(lr_mult=20, decay_mult=0),
            'decode_head.convs.1.bias': dict(lr_mult=20, decay_mult=0),
            'decode_head.convs.2.bias': dict(lr_mult=20, decay_mult=0),
            'decode_head.convs.3.bias': dict(lr_mult=20, decay_mult=0)
        }),
    accumulative_counts=2,
    clip_grad=None)
param_scheduler = [
    dict(
        type='PolyLR',
        eta_min=0,
        power=0.9,
        begin=0,
        end=40000,
        by_epoch=False)
]
train_cfg = dict(max_iters=40000, val_interval=4000)
default_hooks = dict(checkpoint=dict(interval=4000))
