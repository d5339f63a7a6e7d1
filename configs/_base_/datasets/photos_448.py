# What a segmentor for photos of about 448 pixels trains on: masks of the stage
# `labels`. The config of the data adds the photos, the leaf config the
# `crop_size` of step 3.
_base_ = './pseudo_labels.py'

train_dataloader = dict(
    dataset=dict(
        dataset=dict(pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(
                type='RandomResize',
                scale=(448, 448),
                ratio_range=(0.6, 1.4),
                keep_ratio=True),
            dict(type='RandomCanvasCrop', img_pad_val=127.5),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PhotoMetricDistortion'),
            dict(type='PackSegInputs')
        ])))
