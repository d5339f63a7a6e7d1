# Classifier for photos of one's own, for a GPU: as on VOC. A config that
# tools/new_project.py writes adds the photos, their tags and the classes.
_base_ = [
    '../models/cam_r50-d16.py', '../datasets/cam_512.py',
    '../schedules/cam.py', '../default_runtime.py'
]

train_pipeline = _base_.train_dataloader.dataset.dataset.pipeline
train_pipeline[0].type = 'LoadPhoto'
train_pipeline[1] = dict(
    type='RandomChoiceResize',
    scales=[(side, side) for side in range(320, 641, 16)],
    keep_ratio=True)
train_pipeline[3].crop_size = (512, 512)
# about the size of VOC, whatever the camera; masks have that of the photo
resize = dict(type='Resize', scale=(1024, 384), keep_ratio=True)
test_pipeline = [dict(type='LoadPhoto'), resize, dict(type='PackSegInputs')]
score_pipeline = [*test_pipeline]
score_pipeline.insert(2, dict(type='LoadAnnotations'))
train_dataloader = dict(batch_size=16, num_workers=4, drop_last=False)
label_dataloader = dict(
    dataset=dict(dataset=dict(test_mode=True, pipeline=test_pipeline)))
tag_dataloader = dict(
    _base_.label_dataloader,
    dataset=dict(
        type='ImageLabelDataset',
        dataset=dict(test_mode=True, pipeline=test_pipeline)))
test_dataloader = dict(
    dataset=dict(dataset=dict(test_mode=True, pipeline=score_pipeline)))
test_evaluator = dict(split='training photos with masks')

# the epochs of a small set are short
default_hooks = dict(checkpoint=dict(interval=5))
custom_hooks = []
prototypes = dict(type='PrototypeBankHook', init='k-means++')
