_base_ = [__import__('mmlpcam').config_path('lpcam/deeplabv3_parts.py')]
custom_imports = dict(imports=['guided_filter'])
model_of_stage = dict(
    _delete_=True, type='GuidedFilter', map_dir='stage://labels/maps')
stages = dict(
    guided=dict(after='labels', task='label', config='classifier',
                data_preprocessor=None, model=model_of_stage))  # yapf: disable
train_dataloader = dict(dataset=dict(label_dir='stage://guided/masks'))
