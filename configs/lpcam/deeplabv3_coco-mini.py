# Image labels of coco-mini in, trained DeepLabV3 out, on a CPU.
_base_ = [
    '../_base_/models/deeplabv3_m-v2-d16.py',
    '../_base_/datasets/coco_mini_pseudo_labels.py',
    '../_base_/schedules/epochs.py', '../_base_/default_runtime.py'
]

# ---- often changed ---------------------------------------------------------
map_type = 'lpcam'  # 'cam' trains on plain activation maps
bg_thr = 0.5  # background score of the masks, tuned on the training photos
max_epochs = 20
# ----------------------------------------------------------------------------

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-4, weight_decay=1e-2),
    paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=10))))
param_scheduler = [
    dict(
        type='PolyLR',
        power=0.9,
        eta_min=0,
        begin=0,
        end=max_epochs,
        by_epoch=True,
        convert_to_iter_based=True)
]
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
custom_hooks = [dict(type='ChannelsLastHook'), dict(type='IterSeedHook')]

runner_type = 'StagedRunner'
classifier = '{{ fileDirname }}/cam_m-v2_coco-mini.py'
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
