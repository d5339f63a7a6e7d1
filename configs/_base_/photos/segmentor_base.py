# Chain and segmentor for photos of one's own, for a GPU: as on VOC.
# tools/new_project.py writes a config that adds the photos and the classes.
_base_ = [
    '../models/deeplabv3_r50-d8.py', '../datasets/seg_512.py',
    '../schedules/iters.py', '../chains/lpcam.py', '../chains/tags.py',
    '../default_runtime.py'
]

crop_size = (512, 512)
test_pipeline = _base_.test_pipeline
train_pipeline = _base_.train_dataloader.dataset.dataset.pipeline
test_pipeline[0].type = train_pipeline[0].type = 'LoadPhoto'
train_pipeline[3].crop_size = crop_size
train_dataloader = dict(batch_size=4)
val_dataloader = dict(dataset=dict(test_mode=True, pipeline=test_pipeline))
test_dataloader = val_dataloader
model = dict(data_preprocessor=dict(size=crop_size))
