# MCTformer V2 on PASCAL VOC 2012, and its prototypes. DEIT_S names the file
# that tools/model_converters/official_method.py makes of DeiT-small's
# weights. RandomChoiceResize and RandomCrop stand for the random crops of
# timm, PhotoMetricDistortion for its RandAugment. Never run on VOC.
_base_ = '../lpcam/cam_r50_voc.py'

# ---- often changed ---------------------------------------------------------
train_cfg = dict(max_epochs=60)
batch_size = 64
crop_size = (224, 224)
num_clusters = 12  # K, for class and context prototypes each

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='RandomChoiceResize',
        scales=[(side, side) for side in range(256, 641, 32)],
        keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(
        type='RandomCanvasCrop',
        crop_size=crop_size,
        img_pad_val=(103.53, 116.28, 123.675)),
    dict(type='PackSegInputs')
]
model = dict(
    backbone=dict(
        _delete_=True,
        type='MCTransformer',
        num_classes=_base_.num_classes,
        img_size=crop_size[0],
        init_cfg=dict(
            type='Pretrained',
            prefix='backbone.',
            checkpoint='{{$DEIT_S:data/weights/deit_small.pth}}')),
    decode_head=dict(
        _delete_=True,
        type='MCTPatchHead',
        in_channels=384,
        num_classes=_base_.num_classes,
        num_clusters=num_clusters),
    test_cfg=dict(
        map_type='mct_lpcam',
        extra_map_types=('patchcam', 'mct', 'mct_patchcam', 'mct_lpcam_f')))
train_dataloader = dict(
    batch_size=batch_size, dataset=dict(dataset=dict(pipeline=train_pipeline)))
optim_wrapper = dict(
    optimizer=dict(
        _delete_=True,
        type='AdamW',
        lr=5e-4 * batch_size / 512,
        weight_decay=0.05),
    paramwise_cfg=dict(
        _delete_=True,
        norm_decay_mult=0.,
        bias_decay_mult=0.,
        custom_keys=dict(
            cls_token=dict(decay_mult=0.), pos_embed=dict(decay_mult=0.))))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.016, by_epoch=True, begin=0, end=5),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-5,
        begin=5,
        end=train_cfg['max_epochs'],
        T_max=train_cfg['max_epochs'] - 5,
        by_epoch=True)
]
