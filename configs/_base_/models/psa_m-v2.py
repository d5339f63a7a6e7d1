# AffinityNet on MobileNetV2, for `model` of a leaf config that has
# irn_m-v2.py.
psa_model = dict(
    type='AffinityNet',
    backbone=dict(
        out_indices=(2, 4, 6), norm_cfg=dict(_delete_=True, type='BN')),
    decode_head=dict(
        _delete_=True, type='AffinityHead', in_channels=(32, 96, 320)),
    test_cfg=dict(_delete_=True))
