# SegFormer-B2 as in mmseg, whose head learns ten times as fast. For B0
# override in the leaf config backbone.embed_dims=32,
# backbone.num_layers=[2, 2, 2, 2], decode_head.in_channels=[32, 64, 160, 256]
# and backbone.init_cfg.checkpoint (file names in mmseg's configs/segformer).
_base_ = './imagenet.py'

model = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='MixVisionTransformer',
        embed_dims=64,
        num_layers=[3, 4, 6, 3],
        num_heads=[1, 2, 5, 8],
        drop_path_rate=0.1,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://mmassets.onedl.ai/mmsegmentation/v0.5/'
            'pretrain/segformer/mit_b2_20220624-66e8bf70.pth')),
    decode_head=dict(
        type='SegformerHead',
        in_channels=[64, 128, 320, 512],
        in_index=[0, 1, 2, 3],
        channels=256,
        norm_cfg=_base_.norm_cfg),
    test_cfg=dict(mode='whole'))
