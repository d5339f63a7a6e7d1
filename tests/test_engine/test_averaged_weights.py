# ruff: noqa: C408 (configs are written as dict(...))
"""MMEngine's EMAHook beside the prototypes."""
import pytest
import torch
from mmengine.runner import Runner

from mmlpcam.engine import PrototypeBuilder
from mmlpcam.utils import read_checkpoint

pytestmark = pytest.mark.filterwarnings('ignore:Default ``avg_non_ignore``')
BUILDER = dict(fg_thr=.1, mu_f=.2, mu_b=.95, scales=(1., ), num_workers=0)


@pytest.fixture
def train(tiny, voc_mini, tmp_path, monkeypatch):
    """Train a classifier for two epochs beside other hooks."""
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)

    def run(*hooks):
        train = voc_mini.dataset()
        train['dataset']['pipeline'].insert(
            1, dict(type='Resize', scale=(48, 48)))
        runner = Runner.from_cfg(
            dict(
                model=tiny.cfg(),
                work_dir=str(tmp_path / 'run'),
                default_scope='mmseg',
                randomness=dict(seed=0),
                train_dataloader=dict(
                    batch_size=2,
                    num_workers=0,
                    sampler=dict(type='DefaultSampler', shuffle=True),
                    dataset=train),
                train_cfg=dict(by_epoch=True, max_epochs=2),
                optim_wrapper=dict(optimizer=dict(type='SGD', lr=.1)),
                default_hooks=dict(
                    checkpoint=dict(type='CheckpointHook', interval=1),
                    logger=dict(type='LoggerHook', interval=100)),
                custom_hooks=[
                    dict(
                        type='PrototypeBankHook',
                        dataset=voc_mini.dataset(),
                        **BUILDER), *hooks
                ]))
        with torch.no_grad():
            # large: maps exist although little is learned
            runner.model.decode_head.conv_seg.weight.normal_(0, 1)
        runner.train()
        return read_checkpoint(tmp_path / 'run' / 'epoch_2.pth')

    return run


def bank_in(weights):
    return {
        name.partition('bank.')[2]: value
        for name, value in weights.items() if '.bank.' in name
    }


@pytest.mark.parametrize('update_buffers', [False, True])
def test_bank_is_that_of_the_averaged_weights(train, tiny, voc_mini,
                                              update_buffers):
    checkpoint = train(
        dict(type='EMAHook', momentum=.5, update_buffers=update_buffers))
    averaged, raw = checkpoint['state_dict'], checkpoint['ema_state_dict']
    name = 'decode_head.conv_seg.weight'
    assert not torch.equal(averaged[name], raw[f'module.{name}'])
    found = bank_in(averaged)
    assert found['class_valid'].any()
    # a training that goes on starts from the raw ones
    assert bank_in(raw).keys() == found.keys()
    for key, value in bank_in(raw).items():
        assert torch.equal(value, found[key]), key

    def rebuilt(weights):
        model = tiny.build()
        model.load_state_dict({
            key.removeprefix('module.'): value
            for key, value in weights.items()
            if '.bank.' not in key and key != 'steps'
        }, strict=False)  # yapf: disable
        PrototypeBuilder(voc_mini.dataset(), **BUILDER).build(model)
        return bank_in(model.state_dict())

    for key, value in rebuilt(averaged).items():
        torch.testing.assert_close(found[key], value, msg=key)
    others = rebuilt(raw)
    assert not all(torch.equal(found[key], others[key]) for key in found)


@pytest.mark.parametrize('hooks, message', [
    ([dict(type='EMAHook'), dict(type='EMAHook')
      ], 'beside one EMAHook, but there are 2'),
    ([dict(type='EMAHook', priority='LOW')
      ], "EMAHook runs after PrototypeBankHook, .* at 'NORMAL'"),
])
def test_averages_that_do_not_fit(train, tmp_path, hooks, message):
    with pytest.raises(ValueError, match=message):
        train(*hooks)
    assert not [*(tmp_path / 'run').glob('*.pth')]
