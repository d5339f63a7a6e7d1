# The schedule of IRN and LPCAM. Their optimiser passes the weight decay into
# the place of SGD's momentum, so that 0.9 is only the power of the decay and
# the momentum is 1e-4; the learning rate of 0.1 belongs to that.
_base_ = './epochs.py'

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.1, momentum=1e-4),
    paramwise_cfg=_base_.fast_head)
default_hooks = dict(logger=dict(interval=50))
