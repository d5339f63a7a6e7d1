# What IRNet trains on: labels of the stage `ir_labels`, and images at half to
# one and a half of their size. The leaf config sets `crop_size` of step 4.
_base_ = './cam_512.py'

sizes = [
    dict(
        type='Resize',
        scale_factor=percent / 100,
        keep_ratio=True,
        backend='pillow',
        interpolation='bicubic') for percent in range(50, 151)
]
train_dataloader = dict(
    dataset=dict(
        type='PseudoLabelDataset',
        label_dir='stage://ir_labels/masks',
        dataset=dict(pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='RandomChoice', transforms=[[size] for size in sizes]),
            *_base_.train_dataloader.dataset.dataset.pipeline[2:]
        ])))
