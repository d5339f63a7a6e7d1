# The schedule of IRNet, with the optimiser of the classifier: a rate of 0.1
# for the branch of the boundaries and 1.0 for that of the displacements.
_base_ = './cam.py'

optim_wrapper = dict(
    paramwise_cfg=dict(
        _delete_=True, custom_keys=dict(auxiliary_head=dict(lr_mult=10))))
