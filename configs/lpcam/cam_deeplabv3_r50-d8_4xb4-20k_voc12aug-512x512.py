_base_ = './deeplabv3_voc_cam.py'
