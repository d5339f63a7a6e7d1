# The run of deeplabv3_voc-animals.py with the features of a frozen
# EfficientNet-Lite2 for the maps.
_base_ = './deeplabv3_voc-animals.py'

stage_configs = dict(
    classifier='{{ fileDirname }}/cam_effnet-lite2-frozen_voc-animals.py')
