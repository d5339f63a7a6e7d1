_base_ = [__import__('mmlpcam').config_path('lpcam/cam_r18_parts.py')]

custom_imports = dict(imports=['top_k'])
model = dict(
    decode_head=dict(
        _delete_=True,
        type='TopKHead',
        in_channels=96,
        num_classes=6,
        stride=4,
        scales=(1.0, )),
    test_cfg=dict(map_type='topk', extra_map_types=()))
custom_hooks = [dict(type='ChannelsLastHook')]  # and no prototypes
