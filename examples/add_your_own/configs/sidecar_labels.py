_base_ = [__import__('mmlpcam').config_path('lpcam/cam_r18_parts.py')]

custom_imports = dict(imports=['sidecar_labels'])
labels = dict(_delete_=True, type='SidecarLabels')
train_dataloader = dict(dataset=dict(labels=labels))
test_dataloader = dict(dataset=dict(labels=labels))
label_dataloader = dict(dataset=dict(labels=labels))
custom_hooks = _base_.custom_hooks
custom_hooks[2].dataset.labels = dict(type='SidecarLabels')
