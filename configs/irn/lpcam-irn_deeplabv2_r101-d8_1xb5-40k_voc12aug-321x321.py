_base_ = './deeplabv2_voc.py'
