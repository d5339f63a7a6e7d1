# Image labels -> classifier -> maps -> confident labels -> IRN -> masks, for
# `stages` of the leaf config. It trains on them, sets the thresholds, and
# names the configs of classifier, ir_labels and irn in `stage_configs`.
_base_ = './seed.py'

irn_stages = dict(
    _base_.seed_stages,
    ir_labels=dict(task='label', config='ir_labels', title='confident label'),
    irn=dict(task='train', config='irn', title='IRN'),
    labels=dict(
        task='label',
        config='irn',
        title='pseudo label',
        load_from='stage://irn/last_checkpoint',
        label_evaluator=dict(save_maps=True),
        model=dict(test_cfg=dict())),
    refined=dict(task='score', config='irn', title='refined', maps='labels'))
