# The classifier of the generated data set.
_base_ = './resnet18_parts.py'

model = dict(
    type='CAMSegmentor',
    decode_head=dict(type='CAMHead', in_channels=96, stride=4, scales=(1.0, )),
    test_cfg=dict(
        map_type='lpcam', extra_map_types=('cam', 'lpcam_f'), bg_thr=0.4))
