# No network: stored maps and photos in, masks that follow the colours out.
model = dict(type='PixelAdaptiveRefiner', map_dir='stage://maps/maps')
