_base_ = './deeplabv3_coco_cam.py'
