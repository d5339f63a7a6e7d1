# MCTformer V2 on DeiT-small. DEIT_S names the file that
# tools/model_converters/official_method.py makes of DeiT-small's weights.
_base_ = './imagenet.py'

model = dict(
    type='CAMSegmentor',
    data_preprocessor=dict(size_divisor=1),  # crops have one size already
    backbone=dict(
        type='MCTransformer',
        img_size=224,
        init_cfg=dict(
            type='Pretrained',
            prefix='backbone.',
            checkpoint='{{$DEIT_S:data/weights/deit_small.pth}}')),
    decode_head=dict(type='MCTPatchHead', in_channels=384),
    test_cfg=dict(
        map_type='mct_lpcam',
        extra_map_types=('patchcam', 'mct', 'mct_patchcam', 'mct_lpcam_f'),
        bg_thr=0.3))
