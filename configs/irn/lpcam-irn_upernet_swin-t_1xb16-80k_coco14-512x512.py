_base_ = './upernet_coco.py'
