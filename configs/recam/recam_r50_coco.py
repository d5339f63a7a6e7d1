# The second stage of ReCAM on MS COCO, and its prototypes: less weight for the
# softmax loss, and maps of the first classifier alone. Never run on COCO.
_base_ = '../lpcam/cam_r50_coco.py'

# ---- often changed ---------------------------------------------------------
train_cfg = dict(max_epochs=4)
train_dataloader = dict(batch_size=6)
recam_weight = 0.1  # lambda, of the softmax loss

model = dict(
    decode_head=dict(
        type='ReCAMHead', recam_weight=recam_weight, use_product=False),
    test_cfg=dict(extra_map_types=('recam', 'lpcam_f')))
optim_wrapper = dict(
    optimizer=dict(lr=5e-5),
    paramwise_cfg=dict(
        _delete_=True, custom_keys={'decode_head.recam': dict(lr_mult=10)}))
