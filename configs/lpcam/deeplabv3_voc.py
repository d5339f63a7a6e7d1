# The main job: image labels of PASCAL VOC 2012 in, trained DeepLabV3 out.
_base_ = [
    '../_base_/models/deeplabv3_r50-d8.py',
    '../_base_/datasets/voc12_pseudo_labels.py',
    '../_base_/schedules/schedule_20k.py', '../_base_/default_runtime.py'
]

# ---- often changed ---------------------------------------------------------
map_type = 'lpcam'  # 'cam' trains on plain activation maps
bg_thr = 0.3  # background score of the masks (LPCAM paper, Sec. 4.1)
# ----------------------------------------------------------------------------

model = dict(data_preprocessor=dict(size=_base_.crop_size))
runner_type = 'StagedRunner'
classifier = '{{ fileDirname }}/cam_r50_voc.py'
stages = [
    dict(name='classifier', task='train', config=classifier),
    dict(
        name='seed',
        task='test',
        config=classifier,
        load_from='stage://classifier/last_checkpoint',
        test_evaluator=dict(out_file='stage://seed/scores.json')),
    dict(
        name='labels',
        task='test',
        config=classifier,
        load_from='stage://classifier/last_checkpoint',
        model=dict(
            test_cfg=dict(
                map_type=map_type, extra_map_types=(), bg_thr=bg_thr)),
        test_dataloader=dict(
            dataset=dict(
                dataset=dict(
                    ann_file='ImageSets/Segmentation/train_aug.txt',
                    data_prefix=dict(_delete_=True, img_path='JPEGImages'),
                    pipeline=[
                        dict(type='LoadImageFromFile'),
                        dict(type='PackSegInputs'),
                    ]))),
        test_evaluator=dict(
            _delete_=True, type='PseudoLabelWriter', out_dir='stage://labels'),
        test_cfg=dict(type='PseudoLabelLoop')),
]
