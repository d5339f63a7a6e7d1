# The segmentor of the project from image labels: a classifier writes the
# masks first, then fcn_r18_parts.py trains on them.
_base_ = [
    './fcn_r18_parts.py',
    __import__('mmlpcam').config_path('_base_/chains/lpcam.py')
]
custom_imports = dict(imports=['mmlpcam'], allow_failed_imports=False)

stage_configs = dict(classifier='{{ fileDirname }}/classifier_parts.py')
# background score of the masks
stages = dict(labels=dict(model=dict(test_cfg=dict(bg_thr=0.4))))
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='PseudoLabelDataset',
        label_dir='stage://labels/masks',
        dataset=_base_.train_dataloader.dataset))
