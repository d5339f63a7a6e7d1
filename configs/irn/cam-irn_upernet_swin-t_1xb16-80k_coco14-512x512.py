_base_ = './upernet_coco_cam.py'
