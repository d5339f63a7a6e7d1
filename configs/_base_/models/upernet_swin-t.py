# UPerNet-Swin by mmseg's recipe, as in the LPCAM paper, which does not state
# the size; the smallest, Swin-T, is our choice. The leaf config can override
#   Swin-S: backbone.depths=[2, 2, 18, 2]
#   Swin-B: also backbone.embed_dims=128, backbone.num_heads=[4, 8, 16, 32],
#           decode_head.in_channels=[128, 256, 512, 1024],
#           auxiliary_head.in_channels=512
# and backbone.init_cfg.checkpoint (file names in mmseg's configs/swin).
_base_ = './imagenet.py'

model = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='SwinTransformer',
        embed_dims=96,
        depths=[2, 2, 6, 2],
        num_heads=[3, 6, 12, 24],
        drop_path_rate=0.3,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://mmassets.onedl.ai/mmsegmentation/v0.5/'
            'pretrain/swin/swin_tiny_patch4_window7_224_20220317-1cdeb081.pth')
    ),
    decode_head=dict(
        type='UPerHead',
        in_channels=[96, 192, 384, 768],
        in_index=[0, 1, 2, 3],
        channels=512,
        norm_cfg=_base_.norm_cfg),
    auxiliary_head=dict(_base_.auxiliary_head, in_channels=384),
    test_cfg=dict(mode='whole'))
