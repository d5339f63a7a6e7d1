# No network: stored maps and saliency maps in, masks out.
model = dict(
    type='SaliencyRefiner',
    map_dir='stage://maps/maps',
    saliency_dir='{{$SALIENCY:data/saliency}}',
    test_cfg=dict(bg_thr=0.5))
