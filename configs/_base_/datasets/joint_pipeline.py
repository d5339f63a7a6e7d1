# The crops of the classifier: larger scales would cut away what the image
# label promises. The leaf config sets `crop_size` of step 4.
joint_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadPseudoLabel'),
    # long side from 320 to 640 pixels
    dict(
        type='RandomChoiceResize',
        scales=[(side, side) for side in range(320, 641)],
        keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    # filled with the mean colour, zero when the model normalises
    dict(type='RandomCanvasCrop'),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs')
]
