# AMN on ResNet-50: maps of the stage `maps` and labels of `ir_labels` in.
_base_ = './cam_r50-d16.py'

model = dict(
    type='AMNet',
    map_dir='stage://maps/maps',
    seed_dir='stage://ir_labels/masks',
    decode_head=dict(_delete_=True, type='AMNHead', in_channels=2048),
    test_cfg=dict(_delete_=True, scales=(1.0, 0.5, 1.5, 2.0)))
