"""Time and disk of a chain for many images."""
import pytest
from mmengine.config import Config

from mmlpcam.engine.chain_estimate import (Measurement, StageSample,
                                           extrapolate, kept_checkpoints,
                                           measure_chain, shrink)


def run(num_images, *stages):
    return Measurement(num_images, list(stages), 0, 0, 0.)


def test_by_hand():
    """A training of 3 epochs, one of 500 iterations, and labels."""
    few = run(10, StageSample('a', [1., .2, .2], 5.4, 900, None, 3, 4),
              StageSample('b', [.1] * 4, 1.4, 700, 500, 1, 2),
              StageSample('c', [.5] * 10, 8., 1000, None, 1, 1))
    more = run(20, StageSample('a', [.2, .3], 6.5, 900, None, 3, 4),
               StageSample('b', [.1] * 4, 1.4, 690, 500, 1, 2),
               StageSample('c', [.5] * 20, 14., 2000, None, 1, 1))
    a, b, c = extrapolate(few, more, 1001)
    # the rest is 4 s of 10 images and 6 s of 20
    assert a == ('a', pytest.approx(3 * 251 * .2 + 4 + .2 * 991), 900)
    # nothing that grows; a folder does not shrink
    assert b == ('b', pytest.approx(500 * .1 + 1), 700)
    assert c == ('c', pytest.approx(1001 * .5 + 3 + .1 * 991),
                 pytest.approx(1000 + 100 * 991))


def test_shrink(mmseg_scope):
    leaf = dict(type='PhotoFolderDataset', data_prefix=dict(img_path='x'))
    cfg = Config(
        dict(
            train_cfg=dict(by_epoch=True, max_epochs=20),
            val_cfg=dict(),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=.1)),
            train_dataloader=dict(
                dataset=dict(
                    type='ImageLabelDataset', dataset=dict(leaf), labels={})),
            custom_hooks=[dict(type='PrototypeBankHook', dataset=dict(leaf))]))
    shrink(cfg, 7)
    assert cfg.train_cfg.max_epochs == 1 and cfg.val_cfg is None
    assert cfg.optim_wrapper.optimizer == dict(type='SGD', lr=0.)
    outer = cfg.train_dataloader.dataset
    assert 'indices' not in outer and outer.dataset.indices == 7
    assert cfg.custom_hooks[0].dataset.indices == 7


@pytest.mark.parametrize('length, hook, number', [
    (dict(max_epochs=9), dict(interval=1, max_keep_ckpts=2), 2),
    (dict(max_epochs=1), dict(interval=1, max_keep_ckpts=2), 1),
    (dict(max_epochs=9), dict(interval=2), 5),
    (dict(max_epochs=9), dict(interval=20, save_best='mIoU'), 2),
    (dict(max_iters=4001), dict(interval=2000, max_keep_ckpts=4), 3),
    (dict(max_iters=4001), None, 0),
])
def test_kept_checkpoints(length, hook, number):
    cfg = Config(dict(train_cfg=length, default_hooks=dict(checkpoint=hook)))
    assert kept_checkpoints(cfg) == number


def test_what_cannot_be_measured():
    chain = Config(dict(runner_type='StagedRunner'))
    with pytest.raises(ValueError, match='is no chain'):
        measure_chain(Config(dict(model={})), 8)
    with pytest.raises(ValueError, match='got 0'):
        measure_chain(chain, 0)
