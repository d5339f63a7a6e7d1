# Maps -> masks with the background of saliency maps, for `stages` of the leaf
# config, behind those of seed.py: EDAM. The leaf trains on the masks, and
# names the configs of classifier and saliency in `stage_configs`.
edam_stages = dict(
    labels=dict(
        task='label',
        config='saliency',
        title='pseudo label',
        label_evaluator=dict(save_maps=True),
        model=dict(test_cfg=dict(bg_thr=0.5))),
    refined=dict(
        task='score', config='saliency', title='refined', maps='labels'))
