# A small MCTformer V2 from scratch, and prototypes, on the generated data set.
_base_ = '../lpcam/cam_r18_parts.py'

# ---- often changed ---------------------------------------------------------
train_cfg = dict(max_epochs=40)
num_clusters = 12  # K, for class and context prototypes each

model = dict(
    backbone=dict(
        _delete_=True,
        type='MCTransformer',
        num_classes=_base_.num_classes,
        img_size=96,
        patch_size=8,
        embed_dims=96,
        depth=6,
        num_heads=4),
    decode_head=dict(
        _delete_=True,
        type='MCTPatchHead',
        in_channels=96,
        num_classes=_base_.num_classes,
        num_clusters=num_clusters,
        stride=8),
    test_cfg=dict(
        map_type='mct_lpcam',
        extra_map_types=('patchcam', 'mct', 'mct_patchcam', 'mct_lpcam_f')))
optim_wrapper = dict(
    optimizer=dict(lr=1e-3, weight_decay=0.05),
    paramwise_cfg=dict(
        _delete_=True,
        norm_decay_mult=0.,
        bias_decay_mult=0.,
        custom_keys=dict(
            cls_token=dict(decay_mult=0.), pos_embed=dict(decay_mult=0.))))
