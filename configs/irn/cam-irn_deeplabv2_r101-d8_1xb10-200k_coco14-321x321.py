_base_ = './deeplabv2_coco_cam.py'
