# LPCAM that spreads to alike cells of the image, then PAR: the best maps on
# the real photos that were measured, and nothing trained for them.
_base_ = './deeplabv3_coco-mini.py'

# background scores tuned on the training images
stages = dict(
    maps=dict(
        model=dict(decode_head=dict(spread=4.), test_cfg=dict(bg_thr=0.88))),
    labels=dict(model=dict(test_cfg=dict(bg_thr=0.88))))
