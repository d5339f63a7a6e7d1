# What MCTformer trains on where photos are small: as mct_224.py, in smaller
# sizes. The leaf config sets `crop_size` of step 4.
mct_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='RandomChoiceResize',
        scales=[(side, side) for side in range(224, 449, 32)],
        keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='RandomCanvasCrop', img_pad_val=(103.53, 116.28, 123.675)),
    dict(type='PackSegInputs')
]
