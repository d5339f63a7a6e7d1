# Maps of the stage `maps` in, the labels that AffinityNet learns from out.
_base_ = '../irn/ir-labels_voc-animals.py'

model = dict(
    type='PSALabeler',
    test_cfg=dict(crf=dict(bilateral_sxy=80, bilateral_srgb=13)))
