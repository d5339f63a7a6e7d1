# IRNet on MS COCO: as on VOC, for 81 classes.
_base_ = './irn_r50_voc.py'
