# Maps on ImageNet's own last convolution of MobileNetV2.
_base_ = './mobilenet_v2.py'

model = dict(
    type='CAMSegmentor',
    neck=dict(
        type='PointwiseNeck',
        in_channels=320,
        out_channels=1280,
        norm_eval=True,
        init_cfg=_base_.model.backbone.init_cfg),
    decode_head=dict(type='CAMHead', in_channels=1280, stride=16),
    test_cfg=dict(
        map_type='lpcam', extra_map_types=('cam', 'lpcam_f'), bg_thr=0.3))
