"""Checkpoints survive whatever happens while they are written."""
from pathlib import Path

import pytest
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from mmlpcam.engine import CheckpointHook, last_checkpoint
from mmlpcam.engine.hooks import checkpoint_hook
from mmlpcam.utils import read_checkpoint


class Killed(BaseException):
    """Stands in for SIGKILL: nothing catches it."""


class Line(BaseModel):

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def forward(self, inputs, mode='tensor'):
        if mode == 'loss':
            return dict(loss=self.layer(inputs).square().mean())
        return [self.layer(inputs)]


class Score(BaseMetric):
    """Metric that rises."""
    score = 0

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        self.score += 1
        return dict(score=self.score)


@pytest.fixture
def train(tmp_path, mmseg_scope):

    def run(epochs=4, resume=False, **hook):
        torch.manual_seed(0)
        loader = dict(
            dataset=[dict(inputs=torch.ones(1))] * 2,
            sampler=dict(type='DefaultSampler', shuffle=False),
            batch_size=2,
            collate_fn=dict(type='default_collate'),
            num_workers=0)
        runner = Runner(
            model=Line(),
            work_dir=str(tmp_path),
            train_dataloader=loader,
            train_cfg=dict(by_epoch=True, max_epochs=epochs),
            val_dataloader=loader,
            val_evaluator=Evaluator(Score()),
            val_cfg=dict(),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
            default_hooks=dict(checkpoint=dict(type='CheckpointHook', **hook)),
            default_scope='mmseg',
            resume=resume,
            experiment_name=f'{tmp_path}-{epochs}-{resume}')
        runner.train()
        return runner

    return run


def files(folder):
    return sorted(
        path.name for path in folder.glob('*.pth') if path.name[0] != '.')


def test_it_is_what_configs_build(train, tmp_path):
    runner = train(epochs=1)
    assert sum(isinstance(each, CheckpointHook) for each in runner.hooks) == 1
    assert files(tmp_path) == ['epoch_1.pth']


def die_in_write(monkeypatch, count, error=Killed):
    """Write half a file, and no more, at the count-th time."""
    write, left = checkpoint_hook.write_bytes, [count]

    def half(path, content):
        left[0] -= 1
        if not left[0]:
            # what a kill leaves of a file that is written beside its place
            (Path(path).parent / '.tmp-half.pth').write_bytes(
                content[:len(content) // 2])
            raise error
        write(path, content)

    monkeypatch.setattr(checkpoint_hook, 'write_bytes', half)


OPTIONS = dict(interval=1, max_keep_ckpts=1, save_best='score', rule='greater')


@pytest.mark.parametrize('count', range(2, 12))
def test_killed_while_writing(train, tmp_path, monkeypatch, count):
    """At any write: of a checkpoint, a best one or last_checkpoint."""
    with monkeypatch.context() as patch:
        die_in_write(patch, count)
        with pytest.raises(Killed):
            train(**OPTIONS)
    if count > 2:
        assert read_checkpoint(last_checkpoint(tmp_path))['meta']['epoch'] >= 1
    for name in files(tmp_path):
        read_checkpoint(tmp_path / name)
    train(resume=True, **OPTIONS)
    assert last_checkpoint(tmp_path) == str(tmp_path / 'epoch_4.pth')
    assert 'epoch_4.pth' in files(tmp_path)
    assert [name for name in files(tmp_path)
            if name[:5] == 'epoch'] == ['epoch_4.pth']


def test_old_ones_are_removed(train, tmp_path):
    train(**OPTIONS)
    assert files(tmp_path) == ['best_score_epoch_4.pth', 'epoch_4.pth']


def test_a_full_disk_is_named(train, tmp_path, monkeypatch):
    train(epochs=1)

    def full(self):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('mmlpcam.utils.files.os.fsync', full)
    with pytest.raises(OSError, match='No space left.*epoch_2.pth'):
        train(epochs=2, resume=True)
    assert files(tmp_path) == ['epoch_1.pth']


def test_resume_refuses_what_is_no_training(train, tmp_path):
    train(epochs=1)
    path = tmp_path / 'epoch_1.pth'
    content = read_checkpoint(path)
    del content['optimizer']
    torch.save(content, path)
    with pytest.raises(ValueError, match='epoch_1.pth.*lacks optimizer'):
        train(epochs=2, resume=True)


def test_resume_without_a_checkpoint(train, tmp_path):
    assert train(epochs=1, resume=True).epoch == 1
