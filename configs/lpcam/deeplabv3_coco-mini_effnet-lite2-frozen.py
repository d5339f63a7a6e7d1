# The run of deeplabv3_coco-mini.py with the features of a frozen
# EfficientNet-Lite2 for the maps.
_base_ = './deeplabv3_coco-mini.py'

stage_configs = dict(
    classifier='{{ fileDirname }}/cam_effnet-lite2-frozen_coco-mini.py')
