# Image labels of the generated dataset in, trained DeepLabV3 out, on a CPU
# in minutes: what `make demo` runs.
_base_ = [
    '../_base_/models/deeplabv3_r18-d8_parts.py',
    '../_base_/datasets/parts_pseudo_labels.py',
    '../_base_/schedules/epochs.py', '../_base_/default_runtime.py'
]

# ---- often changed ---------------------------------------------------------
map_type = 'lpcam'  # 'cam' trains on plain activation maps
bg_thr = 0.4  # background score of the masks
max_epochs = 30
# ----------------------------------------------------------------------------

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=1e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=20),
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
classifier = '{{ fileDirname }}/cam_r18_parts.py'
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
