# The classifier of IRN, ReCAM and LPCAM: ResNet-50 with output stride 16 and
# no dilation, batch norm on running statistics, frozen stem, bias-free
# classifier.
_base_ = './imagenet.py'

model = dict(
    type='CAMSegmentor',
    data_preprocessor=dict(size_divisor=1),  # crops have one size already
    backbone=dict(
        type='ResNet',
        depth=50,
        out_indices=(2, 3),
        strides=(1, 2, 2, 1),
        norm_eval=True,
        frozen_stages=0,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.pytorch.org/models/'
            'resnet50-19c8e357.pth')),
    decode_head=dict(type='CAMHead', in_channels=2048, stride=16),
    test_cfg=dict(
        map_type='lpcam', extra_map_types=('cam', 'lpcam_f'), bg_thr=0.3))
