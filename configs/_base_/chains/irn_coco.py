_base_ = ['./seed.py', './irn.py']

runner_type = 'StagedRunner'
stage_configs = dict(
    classifier='{{ fileDirname }}/../../lpcam/cam_r50_coco.py',
    ir_labels='{{ fileDirname }}/../../irn/ir-labels_coco.py',
    irn='{{ fileDirname }}/../../irn/irn_r50_coco.py')
