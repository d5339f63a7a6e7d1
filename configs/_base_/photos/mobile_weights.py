# Where MobileNetV2 starts, and how its weights want photos normalised.
imagenet_weights = dict(type='Pretrained', checkpoint='mmcls://mobilenet_v2')
imagenet_pixels = dict(
    mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
