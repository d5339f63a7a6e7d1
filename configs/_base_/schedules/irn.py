# The schedule of IRNet, with the optimiser of the classifier and its rate of
# 0.1, here for the head as well.
_base_ = './cam.py'

optim_wrapper = dict(paramwise_cfg=dict(_delete_=True))
