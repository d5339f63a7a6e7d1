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
stages = dict(
    classifier=dict(task='train', config=classifier),
    seed=dict(
        task='test',
        config=classifier,
        load_from='stage://classifier/last_checkpoint',
        test_evaluator=dict(out_file='stage://seed/scores.json')),
    labels=dict(
        task='label',
        config=classifier,
        load_from='stage://classifier/last_checkpoint',
        model=dict(
            test_cfg=dict(
                map_type=map_type, extra_map_types=(), bg_thr=bg_thr))))
