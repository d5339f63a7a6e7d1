# Image labels -> classifier -> maps -> masks with the background of saliency
# maps: EDAM, for `stages` of the leaf config. It trains on the masks, and
# names the configs of classifier and saliency in `stage_configs`.
_base_ = './seed.py'

edam_stages = dict(
    _base_.seed_stages,
    labels=dict(
        task='label',
        config='saliency',
        title='pseudo label',
        label_evaluator=dict(save_maps=True),
        model=dict(test_cfg=dict(bg_thr=0.5))),
    refined=dict(
        task='score', config='saliency', title='refined', maps='labels'))
