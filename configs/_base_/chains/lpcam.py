# Image labels -> classifier -> maps and masks, on which the leaf config
# trains. It names the config of the classifier in `stage_configs`, and sets
# the threshold.
_base_ = './seed.py'

runner_type = 'StagedRunner'
stages = dict(
    classifier=_base_.seed_stages.classifier,
    labels=dict(_base_.seed_stages.maps, title='pseudo label'),
    seed=dict(_base_.seed_stages.seed, maps='labels'))
