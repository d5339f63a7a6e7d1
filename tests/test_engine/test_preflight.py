"""What cannot work is refused before anything starts."""
import random

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmlpcam.engine import PrototypeBankHook, Run, drop_training, preflight

LOADER = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True))


@pytest.fixture
def classifier(tiny, voc_mini) -> Config:
    """A classifier that learns from six photos."""
    # photos differ in size
    model = tiny.cfg(preprocessor=dict(size=(64, 64)))
    return Config(
        dict(
            model=model,
            train_dataloader=dict(LOADER, dataset=voc_mini.dataset()),
            train_cfg=dict(
                type='EpochBasedTrainLoop', max_epochs=3, val_interval=1),
            optim_wrapper=dict(
                type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1)),
            param_scheduler=[dict(type='LinearLR', begin=0, end=2)],
            default_hooks=dict(
                checkpoint=dict(type='CheckpointHook', interval=1)),
            custom_hooks=[
                dict(
                    type='PrototypeBankHook',
                    dataset=voc_mini.dataset(),
                    num_workers=0)
            ]))


@pytest.fixture
def val(voc_mini) -> dict:
    """The settings of a validation of its maps."""
    return dict(
        val_dataloader=dict(
            LOADER, batch_size=1, dataset=voc_mini.dataset(with_masks=True)),
        val_cfg=dict(type='ValLoop'),
        val_evaluator=dict(type='CAMIoUMetric'))


def check(cfg: Config, **changes) -> None:
    cfg = cfg.copy()
    cfg.merge_from_dict({
        key.replace('__', '.'): value
        for key, value in changes.items()
    })
    preflight([Run('classifier', 'train', cfg)])


def test_what_works_passes_and_leaves_no_trace(classifier, tmp_path):
    before = sorted(tmp_path.rglob('*'))
    draws = []
    for looked in (False, True):
        random.seed(3)
        np.random.seed(3)  # noqa: NPY002
        torch.manual_seed(3)
        if looked:
            check(classifier)
        draws.append((
            random.random(),
            np.random.rand(),  # noqa: NPY002
            torch.rand(()).item()))
    assert draws[0] == draws[1]
    assert sorted(tmp_path.rglob('*')) == before


@pytest.mark.parametrize('changes, message', [
    (dict(model__decode_head__num_classes=21),
     'num_classes of decode_head .* is 21, but the data have 4'),
    (dict(model__decode_head__in_channels=7), 'in_channels=7.* must be 32'),
    (dict(model__decode_head__in_index=5), 'none has the in_index 5'),
    (dict(model__decode_head__stride=8), 'decode_head.stride is 8.*stride 16'),
    (dict(model__test_cfg__stride=8), r"unknown keys \['stride'\]"),
    (dict(model__type='CAMSegmenter'), 'CAMSegmenter'),
    (dict(custom_hooks__0__stride=4), 'PrototypeBankHook is 4.*stride 16'),
    (dict(custom_hooks__0__strides=4), 'strides'),
    (dict(custom_hooks__0__type='PrototypeHook'), 'PrototypeHook'),
    (dict(custom_hooks__0__by_epoch=False,
          train_cfg__max_epochs=0), 'max_epochs must be at least 1'),
    (dict(train_dataloader__persistent_workers=True), 'persistent_workers'),
    (dict(train_dataloader__worker=2), 'worker'),
    (dict(train_dataloader__sampler__type='Sampler'), 'Sampler'),
    (dict(train_dataloader__batch_size=7,
          train_dataloader__drop_last=True), 'there is no batch: of 6 photos'),
    (dict(train_dataloader__dataset__dataset__pipeline__0__type='LoadImage'),
     'LoadImage'),
    (dict(train_dataloader__dataset__dataset__pipeline__0__color='x'),
     'color'),
    (dict(optim_wrapper__optimizer__type='Sdg'), 'Sdg'),
    (dict(optim_wrapper__optimizer__rate=1), 'rate'),
    (dict(param_scheduler__0__type='LinearLr'), 'LinearLr'),
    (dict(default_hooks__checkpoint__intervall=2), 'intervall'),
    (dict(
        default_hooks__checkpoint__interval=2,
        default_hooks__checkpoint__save_last=False),
     'no checkpoint would hold prototypes'),
    (dict(
        model__backbone__init_cfg=dict(
            type='Pretrained', checkpoint='nowhere.pth')),
     'backbone.init_cfg.checkpoint=.nowhere.pth. does not exist'),
    (dict(load_from='nowhere.pth'), 'load_from=.nowhere.pth. does not exist'),
    (dict(
        model__backbone__init_cfg=dict(
            type='Pretrained', checkpoint='open-mmlab://resnet5')),
     "no 'resnet5' in the list of open-mmlab"),
    (dict(val_cfg=dict(type='ValLoop')), 'val needs val_dataloader'),
    (dict(default_hooks__checkpoint=None), 'it has no CheckpointHook'),
    (dict(default_hooks__checkpoint__out_dir='elsewhere'),
     "leave default_hooks.checkpoint.out_dir='elsewhere' out"),
    (dict(
        custom_hooks=[],
        default_hooks__checkpoint=dict(
            type='CheckpointHook', interval=5, save_last=False)),
     'none is written in 3 epochs: set default_hooks.checkpoint.save_last'),
])
def test_refused_with_the_stage(classifier, changes, message):
    if 'train_cfg__max_epochs' in changes:
        changes = dict(train_cfg__max_epochs=0)
    with pytest.raises(Exception, match=f"(?s)stage 'classifier'.*{message}"):
        check(classifier, **changes)


def test_weights_that_cannot_be_fetched(classifier, tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'hub'))
    changes = dict(
        model__backbone__init_cfg=dict(
            type='Pretrained', checkpoint='http://127.0.0.1:9/small.pth'))
    with pytest.raises(FileNotFoundError) as error:
        check(classifier, **changes)
    cached = tmp_path / 'hub' / 'hub' / 'checkpoints' / 'small.pth'
    assert str(cached) in str(error.value)
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b'')
    check(classifier, **changes)


def test_validation_before_the_prototypes(classifier, voc_mini, val):
    with pytest.raises(ValueError, match='validation after epoch 1 needs'):
        check(classifier, **val)
    check(classifier, train_cfg__val_begin=3, **val)
    check(classifier, custom_hooks__0__begin=1, **val)
    check(classifier, model__test_cfg__map_type='cam', **val)
    val['val_dataloader']['dataset'] = voc_mini.dataset()
    with pytest.raises(ValueError, match='needs true masks'):
        check(classifier, train_cfg__val_begin=3, **val)


def test_early_stop_before_the_prototypes(classifier, voc_mini, val, tmp_path,
                                          monkeypatch):
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)
    hook = classifier.custom_hooks[0]
    classifier.custom_hooks.append(
        dict(type='EarlyStoppingHook', monitor='seed/cam/mIoU'))
    check(classifier)  # nothing is validated, and nothing stops it
    classifier.model.test_cfg = dict(map_type='cam')
    with pytest.raises(ValueError, match='of epoch 1, for which no proto.*1$'):
        check(classifier, **val)
    with pytest.raises(ValueError, match='of epoch 2, for which no proto.*2$'):
        check(classifier, train_cfg__val_interval=2, **val)
    check(classifier, train_cfg__val_interval=3, **val)
    # MMSegmentation's own tools come to the same
    cfg = dict(
        classifier,
        **val,
        work_dir=str(tmp_path / 'run'),
        default_scope='mmseg',
        param_scheduler=None)
    with pytest.raises(ValueError, match='of epoch 1, for which no proto'):
        Runner.from_cfg(cfg).train()
    hook.update(begin=1, interval=1)
    check(classifier, **val)
    joint = PrototypeBankHook(
        voc_mini.dataset(),
        begin=2,
        interval=3,
        labels=dict(dataset=voc_mini.dataset()))
    with pytest.raises(ValueError, match='set train_cfg.val_begin=2'):
        joint.check_early_stop(False, 1, 1, 9)
    joint.check_early_stop(False, 2, 1, 9)


def test_a_test_does_without_early_stop(classifier):
    stop = dict(type='EarlyStoppingHook', monitor='seed/cam/mIoU')
    hooks = list(classifier.custom_hooks)
    classifier.custom_hooks = [stop, *hooks]
    drop_training(classifier)
    assert classifier.custom_hooks == hooks


def test_batch_of_one_where_pooled_features_are_normalized(
        classifier, voc_mini):
    classifier.model.auxiliary_head = dict(
        type='ASPPHead',
        in_channels=32,
        in_index=-1,
        channels=4,
        num_classes=4,
        dilations=(1, 2),
        norm_cfg=dict(type='BN'))
    check(classifier)  # three batches of two
    for batch_size in (1, 5):
        with pytest.raises(ValueError, match='batch_size.*drop_last'):
            check(classifier, train_dataloader__batch_size=batch_size)
    check(
        classifier,
        train_dataloader__batch_size=5,
        train_dataloader__drop_last=True)
