# AMN on MobileNetV2, for `model` of a leaf config that has irn_m-v2.py.
amn_model = dict(
    type='AMNet',
    seed_dir='stage://ir_labels/masks',
    backbone=dict(out_indices=(4, 6), norm_cfg=dict(_delete_=True, type='BN')),
    decode_head=dict(_delete_=True, type='AMNHead', in_channels=320),
    test_cfg=dict(_delete_=True, scales=(1.0, 0.5, 1.5)))
