# Loaders of a classifier, and of what reads its maps; the leaf config names
# the data. No loader processes, for CPUs that are busy with the model: a
# resumed run then repeats an unbroken one exactly (IterSeedHook).
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]
train_dataloader = dict(
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='ImageLabelDataset'))
test_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ImageLabelDataset'))
test_evaluator = dict(type='CAMIoUMetric')
test_cfg = dict(type='TestLoop')
# what the stages that write masks for the segmentor run on
label_dataloader = test_dataloader
