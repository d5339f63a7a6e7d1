# The schedule of deeplab-pytorch. MMEngine counts batches, not steps of the
# optimiser: max_iters is twice their number, and the learning rate falls as
# fast per step. (deeplab-pytorch updates it every 10 steps.)
_base_ = './iters.py'

# biases of ASPPV2Head: twice the rate of its weights and no decay; the longest
# key that fits a parameter wins
bias = dict(lr_mult=20, decay_mult=0)
custom_keys = {f'decode_head.convs.{i}.bias': bias for i in range(4)}
custom_keys.update(decode_head=dict(lr_mult=10))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=custom_keys), accumulative_counts=2)
param_scheduler = [dict(type='PolyLR', power=0.9, by_epoch=False)]
default_hooks = dict(checkpoint=dict(interval=4000))
