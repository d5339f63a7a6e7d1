# Image labels -> classifier -> maps -> confident labels -> AffinityNet ->
# masks, for `stages` of the leaf config: PSA, as in MCTformer, whose
# background score is 0.39. The leaf trains on the masks, and names the configs
# of classifier, psa_labels and psa in `stage_configs`.
_base_ = './seed.py'

psa_stages = dict(
    _base_.seed_stages,
    psa_labels=dict(
        task='label',
        config='psa_labels',
        title='confident label',
        model=dict(test_cfg=dict(alphas=(1, 12)))),
    psa=dict(task='train', config='psa', title='AffinityNet'),
    labels=dict(
        task='label',
        config='psa',
        title='pseudo label',
        load_from='stage://psa/last_checkpoint',
        label_evaluator=dict(save_maps=True),
        model=dict(test_cfg=dict(bg_thr=0.39))),
    refined=dict(task='score', config='psa', title='refined', maps='labels'))
# the classifier says which maps
psa_stages['maps'].model = dict(test_cfg=dict(bg_thr=0.39))
