# The second stage of ReCAM on coco-mini, and its prototypes.
_base_ = '../lpcam/cam_m-v2_coco-mini.py'

# ---- often changed ---------------------------------------------------------
train_cfg = dict(max_epochs=8)
recam_weight = 1.0  # lambda, of the softmax loss

model = dict(
    decode_head=dict(type='ReCAMHead', recam_weight=recam_weight),
    test_cfg=dict(extra_map_types=('recam', 'lpcam_f')))
# 64 iterations teach the new classifier little at ten times the rate of the
# rest, as on VOC, and its gradients spoil the features meanwhile
optim_wrapper = dict(
    optimizer=dict(lr=1e-5),
    paramwise_cfg=dict(
        _delete_=True, custom_keys={'decode_head.recam': dict(lr_mult=300)}))
