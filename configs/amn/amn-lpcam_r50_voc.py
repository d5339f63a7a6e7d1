# LPCAM on the features of AMN, in the place of its own maps: experimental.
# Never run on VOC.
_base_ = './amn_r50_voc.py'

# ---- often changed ---------------------------------------------------------
amn = _base_.model.decode_head
prototypes = dict(
    fg_thr=0.1,  # tau, splits features by the probabilities of AMN
    # smoothed labels keep these far from 1
    mu_f=0.3,  # class prototypes score above it
    mu_b=0.3)  # context prototypes score below it

model = dict(
    _delete_=True,
    type='CAMSegmentor',
    data_preprocessor=_base_.model.data_preprocessor,
    backbone=_base_.model.backbone,
    decode_head=dict(
        type='AMNPrototypeHead',
        in_channels=amn.in_channels,
        num_classes=amn.num_classes,
        num_clusters=12,  # K, for class and context prototypes each
        scales=(1.0, 0.5, 1.5, 2.0),
        amn=dict(smoothing=amn.smoothing)),
    test_cfg=dict(
        map_type='lpcam', extra_map_types=('amn_ungated', 'lpcam_f')))
custom_hooks = [dict(_base_.prototypes, **prototypes)]
