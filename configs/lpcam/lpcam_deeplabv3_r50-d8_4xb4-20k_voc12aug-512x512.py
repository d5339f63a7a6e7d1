_base_ = './deeplabv3_voc.py'
