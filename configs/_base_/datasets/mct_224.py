# What MCTformer trains on. RandomChoiceResize and RandomCanvasCrop stand for
# the random crops of timm, PhotoMetricDistortion for its RandAugment. The leaf
# config sets `crop_size` of step 4.
_base_ = './cam_512.py'

pipeline = _base_.train_dataloader.dataset.dataset.pipeline
train_dataloader = dict(
    dataset=dict(
        dataset=dict(pipeline=[
            pipeline[0],
            dict(
                type='RandomChoiceResize',
                scales=[(side, side) for side in range(256, 641, 32)],
                keep_ratio=True), pipeline[2],
            dict(type='PhotoMetricDistortion'),
            dict(
                type='RandomCanvasCrop', img_pad_val=(103.53, 116.28,
                                                      123.675)), pipeline[4]
        ])))
