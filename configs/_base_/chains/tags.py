# Scores the classifier by tags that it has not learnt, before masks are made:
# `stages.tags` of a leaf config whose classifier has a `tag_dataloader`.
tag_stage = dict(
    task='tags',
    config='classifier',
    title='tags',
    after='classifier',
    load_from='stage://classifier/last_checkpoint')
