_base_ = './upernet_voc_cam.py'
