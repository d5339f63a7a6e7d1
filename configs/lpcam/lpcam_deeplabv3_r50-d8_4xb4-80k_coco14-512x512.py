_base_ = './deeplabv3_coco.py'
