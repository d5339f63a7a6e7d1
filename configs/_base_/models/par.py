# No network: stored maps and photos in, masks that follow the colours out.
model = dict(type='PixelAdaptiveRefiner', map_dir='stage://maps/maps')
# a model without parameters, which DistributedDataParallel refuses
model_wrapper_cfg = dict(type='MMSeparateDistributedDataParallel')
