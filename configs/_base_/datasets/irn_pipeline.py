# What IRNet trains on: crops of 512 pixels at half to one and a half of the
# size of the image.
irn_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(
        type='RandomChoice',
        transforms=[[
            dict(
                type='Resize',
                scale_factor=percent / 100,
                keep_ratio=True,
                backend='pillow',
                interpolation='bicubic')
        ] for percent in range(50, 151)]),
    dict(type='RandomFlip', prob=0.5),
    # the mean colour (BGR) becomes zero when the model normalises
    dict(
        type='RandomCanvasCrop',
        crop_size=(512, 512),
        img_pad_val=(103.53, 116.28, 123.675)),
    dict(type='PackSegInputs')
]
