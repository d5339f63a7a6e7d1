"""A segmentor that trains on labels which follow its own classifier."""
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import DATASETS, HOOKS, MODELS
from PIL import Image

from mmlpcam.apis.run_contents import RunContents, for_photos
from mmlpcam.apis.run_page import RunPage
from mmlpcam.apis.run_panel import RunPanel
from mmlpcam.engine import LabelRefresher, PrototypeBankHook, last_checkpoint
from mmlpcam.engine.hooks import prototype_bank_hook as hook_module
from mmlpcam.evaluation import PseudoLabelWriter
from mmlpcam.utils import read_json

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.filterwarnings('ignore:Default ``avg_non_ignore``')


class Killed(BaseException):
    """Stands for a signal: nothing catches it."""


@HOOKS.register_module()
class WatchHook(Hook):
    """Notes the loss of the decode head; dies where it is told to."""
    priority = 'LOW'  # after PrototypeBankHook, before the checkpoint
    losses = []

    def __init__(self, die_after=None):
        self.die_after = die_after

    def after_train_iter(self, runner, batch_idx, outputs=None, **kwargs):
        self.losses.append(outputs['decode.loss_ce'].item())

    def after_train_epoch(self, runner):
        if runner.epoch + 1 == self.die_after:
            raise Killed


class Job:
    """Runs of four epochs on the six images of `voc_mini`."""

    def __init__(self, tiny, data, folder):
        self.tiny, self.data, self.folder = tiny, data, folder
        self.losses = WatchHook.losses
        self.losses.clear()
        self.runs = 0

    def cfg(self, name='run', die_after=None, hook=(), **changes):
        model = self.tiny.cfg()
        cam = dict(
            model['decode_head'],
            # large weights: maps exist although little is learned
            init_cfg=dict(
                type='Normal', std=1., override=dict(name='conv_seg')))
        model.update(
            type='EncoderDecoder',
            decode_head=dict(
                type='FCNHead',
                in_channels=32,
                channels=4,
                num_classes=4,
                num_convs=1,
                norm_cfg=dict(type='BN')),
            auxiliary_head=cam,
            test_cfg=dict(mode='whole'))
        train = self.data.dataset()
        train['dataset'] = dict(
            type='PseudoLabelDataset',
            label_dir=None,
            dataset=dict(
                train['dataset'],
                test_mode=False,
                pipeline=[
                    dict(type='LoadImageFromFile'),
                    dict(type='LoadPseudoLabel'),
                    dict(type='Resize', scale=(48, 48)),
                    dict(type='RandomFlip', prob=.5),
                    dict(type='PackSegInputs')
                ]))
        bank = dict(
            dict(
                type='PrototypeBankHook',
                dataset=self.data.dataset(),
                labels=dict(dataset=self.data.dataset(), bg_thr=.4),
                begin=2,
                interval=1,
                fg_thr=.5,
                mu_f=.2,
                mu_b=.95,
                num_workers=0), **dict(hook))
        return dict(
            model=model,
            work_dir=str(self.folder / name),
            experiment_name=f'{name}_{self.runs}',
            default_scope='mmseg',
            randomness=dict(seed=0),
            train_dataloader=dict(
                batch_size=2,
                num_workers=0,
                sampler=dict(type='DefaultSampler', shuffle=True),
                dataset=train),
            train_cfg=dict(by_epoch=True, max_epochs=4),
            optim_wrapper=dict(
                type='OptimWrapper', optimizer=dict(type='SGD', lr=.01)),
            default_hooks=dict(
                checkpoint=dict(type='CheckpointHook', interval=1),
                logger=dict(type='LoggerHook', interval=100)),
            custom_hooks=[
                dict(type='IterSeedHook'), bank,
                dict(type='WatchHook', die_after=die_after)
            ],
            **changes)

    def train(self, *args, **kwargs):
        self.losses.clear()
        self.runs += 1
        runner = Runner.from_cfg(self.cfg(*args, **kwargs))
        runner.train()
        return runner

    def masks(self, name='run'):
        return {
            path.relative_to(self.folder / name / 'labels/masks'):
            path.read_bytes()
            for path in (self.folder / name / 'labels/masks').rglob('*.png')
        }

    def generations(self, name='run'):
        return {
            path.name
            for path in (self.folder / name / 'labels').iterdir()
            if path.is_dir() and not path.is_symlink()
        }


def weights(folder):
    return torch.load(
        last_checkpoint(folder), weights_only=False)['state_dict']


def assert_same_weights(one, two):
    one, two = weights(one), weights(two)
    assert one.keys() == two.keys()
    for key, value in one.items():
        assert torch.equal(value, two[key]), key


@pytest.fixture
def job(tiny, voc_mini, tmp_path, monkeypatch):
    # formatting it takes ten times as long as the training
    monkeypatch.setattr(Config, 'pretty_text', '')
    return Job(tiny, voc_mini, tmp_path)


@pytest.fixture
def told(monkeypatch):
    """What the hook logs."""
    lines = []
    monkeypatch.setattr(hook_module, 'print_log',
                        lambda text, **_: lines.append(text))
    return lines


# --- what a run does --------------------------------------------------------


def test_decode_head_waits_for_labels(job):
    job.train()
    warm_up, later = job.losses[:6], job.losses[6:]
    assert warm_up == [0.] * 6
    assert len(later) == 6 and min(later) > 0


def test_labels_are_those_of_the_model_that_made_them(job):
    runner = job.train()
    masks = job.masks()
    assert len(masks) == 6
    cfg = job.cfg()['model']
    cfg.update(type='CAMSegmentor', test_cfg=dict(bg_thr=.4))
    judge = MODELS.build(cfg).eval()
    judge.load_state_dict(weights(job.folder / 'run'))
    hook, = (h for h in runner.hooks if isinstance(h, PrototypeBankHook))
    classes = set()
    for sample in hook.refresher._dataset:
        with torch.no_grad():
            found, = judge.test_step(
                dict(
                    inputs=[sample['inputs']],
                    data_samples=[sample['data_samples']]))
        file = job.folder / f'run/labels/masks/{found.image_id}.png'
        mask = np.array(Image.open(file))
        assert np.array_equal(mask, found.pred_sem_seg.data[0].numpy())
        classes |= set(np.unique(mask))
    assert len(classes) > 1


def test_labels_follow_the_bank(job):
    """Each generation is of its own weights."""
    folder = job.folder / 'run/labels'
    seen = []

    class Spy(PseudoLabelWriter):

        def compute_metrics(self, results):
            result = super().compute_metrics(results)
            seen.append(read_json(self.manifest_file)['settings']['model'])
            return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('mmlpcam.engine.label_refresher.PseudoLabelWriter', Spy)
        job.train()
    assert len(seen) == len(set(seen)) == 3  # after epochs 2, 3 and 4
    assert (folder / 'masks').is_symlink()
    assert (folder / 'masks').resolve().parent.name == 'epoch_4'


@pytest.mark.parametrize('interval, kept', [(1, {'epoch_3', 'epoch_4'}),
                                            (2, {'epoch_2', 'epoch_4'}),
                                            (3, {'epoch_3', 'epoch_4'})])
def test_only_labels_of_checkpoints_are_kept(job, interval, kept):
    """Those in use, and those of the checkpoint before the last refresh."""
    cfg = job.cfg()
    cfg['default_hooks']['checkpoint']['interval'] = interval
    cfg['default_hooks']['checkpoint']['save_last'] = False
    Runner.from_cfg(cfg).train()
    assert job.generations() == kept


@pytest.mark.parametrize('num_workers', [0, 2])
def test_iterations(job, num_workers):
    """Labels every n iterations in an iteration-based loop."""
    cfg = job.cfg(hook=dict(by_epoch=False, begin=3, interval=4))
    cfg.update(
        train_cfg=dict(by_epoch=False, max_iters=9),
        log_processor=dict(by_epoch=False))
    cfg['train_dataloader']['sampler']['type'] = 'InfiniteSampler'
    cfg['train_dataloader'].update(
        num_workers=num_workers, persistent_workers=num_workers > 0)
    cfg['default_hooks']['checkpoint'] = dict(
        type='CheckpointHook', by_epoch=False, interval=3)
    Runner.from_cfg(cfg).train()
    # built after 3, 7 and 9; loader processes are some batches ahead
    assert job.losses[:3] == [0.] * 3 and job.losses[-1] > 0
    if not num_workers:
        assert min(job.losses[3:]) > 0
    # The checkpoints before the last refresh were saved after 3 and 6.
    assert job.generations() == {'iter_3', 'iter_9'}


def test_best_checkpoint_is_not_the_last(job):
    """Nobody resumes from it, so its labels are not those to keep."""
    kept = []

    class SaveBest(Hook):
        priority = 'LOWEST'

        def after_train_epoch(self, runner):
            if runner.epoch + 1 == 3:
                runner.save_checkpoint(runner.work_dir, 'best.pth')
            kept.append(job.generations())

    cfg = job.cfg(hook=dict(begin=1))
    cfg['default_hooks']['checkpoint']['interval'] = 2
    runner = Runner.from_cfg(cfg)
    runner.register_hook(SaveBest())
    runner.train()
    assert kept[-1] == {'epoch_2', 'epoch_4'}


def test_momentum_reaches_the_bank(job):
    job.train('replaced')
    job.train('averaged', hook=dict(momentum=.5))
    replaced, averaged = (
        weights(job.folder / name)['auxiliary_head.bank.class_direction']
        for name in ('replaced', 'averaged'))
    # unit prototypes: a mean over generations is shorter than one of them
    assert not torch.allclose(replaced, averaged, atol=1e-4)


def test_half_precision(job):
    cfg = job.cfg()
    cfg['optim_wrapper']['type'] = 'CPUAmpOptimWrapper'
    Runner.from_cfg(cfg).train()
    assert np.isfinite(job.losses).all() and min(job.losses[6:]) > 0
    state = weights(job.folder / 'run')
    for key in ('prototypes', 'direction'):
        found = state[f'auxiliary_head.bank.class_{key}']
        assert found.dtype == torch.float32 and found.any()
        # not the values of a product in bfloat16
        assert not torch.equal(found, found.bfloat16().float())


# --- runs that are killed ----------------------------------------------------


@pytest.fixture
def unbroken(job):
    job.train('unbroken')
    return job.folder / 'unbroken'


def kill_in_refresh(patch, number):
    """Die when the mask of this number, counted over all, is to be written."""
    written = []
    original = PseudoLabelWriter.process

    def process(self, *args, **kwargs):
        if len(written) == number:
            raise Killed
        written.append(1)
        original(self, *args, **kwargs)

    patch.setattr(PseudoLabelWriter, 'process', process)


@pytest.mark.parametrize('number', [0, 3, 8, 17])
def test_killed_refresh(job, unbroken, number):
    """In the first, the second and the last generation."""
    with pytest.MonkeyPatch.context() as patch:
        kill_in_refresh(patch, number)
        with pytest.raises(Killed):
            job.train()
    job.train(resume=True)
    assert job.masks() == job.masks('unbroken')
    assert_same_weights(job.folder / 'run', unbroken)


@pytest.mark.parametrize('epoch', [2, 3, 4])
def test_killed_between_labels_and_checkpoint(job, unbroken, epoch):
    """The link has moved, but the checkpoint is of the time before."""
    with pytest.raises(Killed):
        job.train(die_after=epoch)
    labels = job.folder / 'run/labels'
    assert (labels / 'masks').resolve().parent.name == f'epoch_{epoch}'
    job.train(resume=True)
    # the warm-up again, without labels
    assert job.losses[:3] == [0.] * 3 or epoch > 2
    assert job.masks() == job.masks('unbroken')
    assert_same_weights(job.folder / 'run', unbroken)


def test_labels_of_an_older_checkpoint(job, told):
    """They are gone: the bank of the checkpoint makes them anew."""
    job.train()
    (job.folder / 'run/last_checkpoint').write_text(
        str(job.folder / 'run/epoch_2.pth'))
    assert not told
    job.train(resume=True)
    assert "labels 'epoch_2' of the checkpoint are not in" in told[0]
    assert len(job.losses) == 6 and min(job.losses) > 0


@pytest.mark.parametrize('left', [None, 0, 60])
def test_mask_of_the_checkpoint_is_gone(job, unbroken, told, left):
    """Missing, empty or cut: all are made anew, from the same model."""
    with pytest.raises(Killed):
        job.train(die_after=4)
    mask = min((job.folder / 'run/labels/epoch_3/masks').glob('*.png'))
    content = mask.read_bytes()[:left or 0]
    mask.unlink()
    if left is not None:
        mask.write_bytes(content)
    job.train(resume=True)
    assert "labels 'epoch_3' of the checkpoint are not in" in told[0]
    assert job.masks() == job.masks('unbroken')
    assert_same_weights(job.folder / 'run', unbroken)


def test_fresh_start_ignores_old_labels(job):
    job.train()
    job.train()
    assert job.losses[:6] == [0.] * 6


# --- bad input ---------------------------------------------------------------


def test_nobody_reads_the_labels(job):
    cfg = job.cfg()
    train = cfg['train_dataloader']['dataset']
    train['dataset'] = train['dataset']['dataset']
    train['dataset']['pipeline'][1] = dict(type='LoadAnnotations')
    with pytest.raises(ValueError, match='nothing reads them'):
        Runner.from_cfg(cfg).train()


@pytest.mark.parametrize('hook', [
    dict(begin=4),
    dict(begin=None, interval=-1),
    dict(begin=None, interval=9),
])
def test_labels_that_come_too_late(job, hook):
    with pytest.raises(ValueError, match='nothing would train on them'):
        job.train(hook=hook)


def test_nobody_writes_the_labels(job):
    with pytest.raises(RuntimeError, match='waits for PrototypeBankHook'):
        job.train(hook=dict(labels=None))


def test_image_that_would_never_be_labeled(job):
    some = job.data.dataset(indices=4)
    with pytest.raises(ValueError, match="2 training images .*'more/2008_00"):
        job.train(hook=dict(labels=dict(dataset=some)))


def test_labels_of_somebody_else_are_left_alone(job):
    theirs = job.folder / 'run/labels/masks/a.png'
    theirs.parent.mkdir(parents=True)
    theirs.write_text('precious')
    with pytest.raises(FileExistsError, match='choose another work dir'):
        job.train()
    assert theirs.read_text() == 'precious'


@pytest.mark.parametrize('kwargs, match', [
    (dict(begin=0), '`begin`'),
    (dict(interval=0), '`interval`'),
    (dict(momentum=0.), '`momentum`'),
    (dict(momentum=1.5), '`momentum`'),
])
def test_arguments(kwargs, match):
    with pytest.raises(ValueError, match=match):
        PrototypeBankHook({}, **kwargs)


def test_killed_before_a_generation_is_whole(job):
    """Half a generation is none."""
    job.train()
    refresher = LabelRefresher(job.data.dataset())
    train = job.cfg()['train_dataloader']['dataset']
    refresher.connect(DATASETS.build(train), str(job.folder / 'run'))
    assert refresher.restore('epoch_4')
    (job.folder / 'run/labels/epoch_4/manifest.json').unlink()
    assert not refresher.restore('epoch_4')
    (job.folder / 'run/labels/epoch_4/manifest.json').write_text('[]')
    with pytest.raises(ValueError, match='epoch_4/manifest.json is no'):
        refresher.restore('epoch_4')
    shutil.rmtree(job.folder / 'run/labels/epoch_4')
    assert not refresher.restore('epoch_4')


# --- its picture -------------------------------------------------------------


def test_report(job):

    def draw(cfg, run, num_images, bg_thrs):
        contents = RunContents(cfg, run)
        panel = RunPanel(contents, bg_thrs)
        assert not for_photos(contents, [(num_images, panel.add)])
        return panel.draw()

    run = job.folder / 'run'
    run.mkdir()
    pipeline = [dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]
    cfg = Config(job.cfg(test_pipeline=pipeline))
    with pytest.raises(ValueError, match='wait until the warm-up is over'):
        draw(cfg, run, 2, [])
    job.train()
    panel = draw(cfg, run, 2, [.3])
    assert panel.ndim == 3 and panel.shape[2] == 3
    more = draw(cfg, run, 4, [.3])
    assert more.shape[0] > panel.shape[0] and more.shape[1] == panel.shape[1]
    # a column for a threshold
    assert draw(cfg, run, 2, []).shape[1] < panel.shape[1]
    contents = RunContents(cfg, run)
    page = RunPage(contents)
    assert not for_photos(contents, [(2, page.add)])
    page.write(run / 'page.html')
    assert '"pseudo label"' in (run / 'page.html').read_text()
    cfg.custom_hooks = []
    with pytest.raises(ValueError, match='neither stages nor'):
        draw(cfg, run, 2, [])
