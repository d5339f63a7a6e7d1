_base_ = './upernet_voc.py'
