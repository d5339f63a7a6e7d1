# No network: stored maps in, the labels that IRN learns from out. The dense
# CRF of IRN, in PyTorch; `backend='pydensecrf'` takes pydensecrf2.
model = dict(
    type='IRLabeler',
    map_dir='stage://maps/maps',
    test_cfg=dict(
        crf=dict(
            gaussian_sxy=3,
            gaussian_compat=3,
            bilateral_sxy=50,
            bilateral_srgb=5,
            bilateral_compat=10,
            num_iters=10,
            backend='auto')))
# images of a batch are shared out to the workers of the model
label_dataloader = dict(sampler=dict(type='DefaultSampler', shuffle=False))
test_cfg = dict(type='TestLoop')
