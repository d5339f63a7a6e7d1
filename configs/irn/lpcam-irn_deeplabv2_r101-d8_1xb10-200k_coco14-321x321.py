_base_ = './deeplabv2_coco.py'
