# The schedule of IRNet in IRN and LPCAM, with the same optimiser as that of
# the classifier (cam_5e.py): momentum 1e-4 and a rate of 0.1, here for the
# head as well.
_base_ = './cam_5e.py'

max_epochs = 3
optim_wrapper = dict(paramwise_cfg=dict(_delete_=True))
param_scheduler = [
    dict(
        type='PolyLR',
        power=0.9,
        eta_min=0,
        begin=0,
        end=max_epochs,
        by_epoch=True,
        convert_to_iter_based=True)
]
train_cfg = dict(max_epochs=max_epochs)
