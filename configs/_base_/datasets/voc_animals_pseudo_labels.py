# voc-animals with the masks of the stage `labels`; validated on true masks.
# The leaf config sets `crop_size` of step 3.
_base_ = ['./voc_animals.py', './pseudo_labels.py']

train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            _base_.photos,
            pipeline=[
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
val_dataloader = dict(
    dataset=dict(_base_.val_photos, pipeline=_base_.score_pipeline))
test_dataloader = val_dataloader
