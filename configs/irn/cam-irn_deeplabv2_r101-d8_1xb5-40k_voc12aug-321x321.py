_base_ = './deeplabv2_voc_cam.py'
