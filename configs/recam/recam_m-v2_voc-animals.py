# The second stage of ReCAM on voc-animals, and its prototypes.
_base_ = '../lpcam/cam_m-v2_voc-animals.py'

# ---- often changed ---------------------------------------------------------
train_cfg = dict(max_epochs=1)
recam_weight = 1.0  # lambda, of the softmax loss

model = dict(
    decode_head=dict(type='ReCAMHead', recam_weight=recam_weight),
    test_cfg=dict(extra_map_types=('recam', 'lpcam_f')))
# a small rate for the features, as in recam_m-v2_coco-mini.py
optim_wrapper = dict(
    optimizer=dict(lr=1e-5),
    paramwise_cfg=dict(
        _delete_=True, custom_keys={'decode_head.recam': dict(lr_mult=300)}))
