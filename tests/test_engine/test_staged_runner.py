"""Chains of stages: order, resuming, refusing."""
import hashlib
import json
import shutil
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.visualization import LocalVisBackend
from mmseg.registry import HOOKS, RUNNERS
from PIL import Image

from mmlpcam.apis.run_contents import RunContents, for_photos, stages_of
from mmlpcam.apis.run_page import RunPage
from mmlpcam.apis.run_panel import RunPanel
from mmlpcam.apis.run_scores import score_table
from mmlpcam.engine import StagedRunner, last_checkpoint
from mmlpcam.evaluation import PseudoLabelWriter
from mmlpcam.utils import read_json, write_json


class Killed(BaseException):
    """Stands for a signal: nothing catches it."""


@HOOKS.register_module(force=True)
class KillHook(Hook):
    """Stop training at an iteration, or before validation, once."""

    at: dict = {}

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        name = Path(runner.work_dir).name
        if KillHook.at.get(name) == runner.iter:
            del KillHook.at[name]
            raise Killed

    def before_val_epoch(self, runner):
        if KillHook.at.pop('validation', None):
            raise Killed


@pytest.fixture(autouse=True)
def _no_kill():
    KillHook.at = {}


@pytest.fixture
def config(tiny_chain):
    """The demo chain, with a hook that may stop it."""
    classifier = Config.fromfile(tiny_chain.stage_configs.classifier)
    tiny_chain.custom_hooks.append(dict(type='KillHook'))
    tiny_chain.stages.classifier.custom_hooks = [
        *classifier.custom_hooks,
        dict(type='KillHook')
    ]
    return tiny_chain


def run(cfg, work_dir):
    return RUNNERS.build(merged(cfg, work_dir=str(work_dir))).train()


def merged(cfg, **settings):
    cfg = cfg.copy()
    cfg.update(settings)
    return cfg


def contents(work_dir):
    """What a chain leaves: masks byte by byte, weights by value."""
    masks = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((work_dir / 'labels' / 'masks').iterdir())
    }
    weights = {}
    for name in ('classifier', 'segmentor'):
        state = torch.load(
            last_checkpoint(work_dir / name), weights_only=False)
        weights.update({
            f'{name}.{key}': value
            for key, value in state['state_dict'].items()
        })
    scores = read_json(work_dir / 'seed' / 'scores.json')
    return masks, weights, scores


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    return tmp_path_factory.mktemp('unbroken') / 'run'


@pytest.fixture
def unbroken(config, finished):
    """One unbroken run for all tests."""
    if not finished.exists():
        assert run(config, finished) is not None
    return finished


def assert_same(one, two):
    assert one[0] == two[0]
    assert one[1].keys() == two[1].keys()
    for name, value in one[1].items():
        assert torch.equal(value, two[1][name]), name
    assert one[2] == two[2]


def test_a_disk_that_is_full_of_logs_is_named(config, tmp_path, monkeypatch):

    def full(self, *args, **kwargs):
        raise OSError(28, 'No space left')  # MMEngine gives no name

    monkeypatch.setattr(LocalVisBackend, 'add_scalars', full)
    with pytest.raises(OSError, match="No space left: '.*/run/classifier'$"):
        run(config, tmp_path / 'run')


def test_chain_leaves_everything(unbroken):
    masks, weights, scores = contents(unbroken)
    assert len(masks) == 10
    assert read_json(unbroken / 'labels' / 'manifest.json')['complete']
    assert set(scores['maps']) == {'lpcam', 'cam', 'lpcam_f'}
    for name in ('segmentor', 'classifier', 'labels', 'seed'):
        assert read_json(unbroken / name / 'stage.json')['finished']
    for name in ('classifier', 'segmentor'):  # each has a log of its own
        log, = (unbroken / name).glob('*/vis_data/scalars.json')
        assert ('decode.loss_ce' in log.read_text()) == (name == 'segmentor')
    assert 'mIoU' in read_json(unbroken / 'segmentor/stage.json')['metrics']
    assert weights['classifier.decode_head.bank.class_valid'].any()


def test_second_run_does_nothing(config, unbroken, caplog):
    before = {p: p.stat().st_mtime_ns for p in unbroken.rglob('*.p*')}
    assert run(config, unbroken) is None
    assert {p: p.stat().st_mtime_ns for p in unbroken.rglob('*.p*')} == before


@pytest.mark.parametrize('stage, iteration', [
    ('classifier', 2),
    ('segmentor', 3),
    ('validation', True),
])
def test_killed_training_resumes_to_the_same_result(config, unbroken, tmp_path,
                                                    stage, iteration):
    work_dir = tmp_path / 'broken'
    KillHook.at = {stage: iteration}
    with pytest.raises(Killed):
        run(config, work_dir)
    assert not KillHook.at
    run(config, work_dir)
    assert_same(contents(unbroken), contents(work_dir))
    scores = [
        read_json(folder / 'segmentor' / 'stage.json')['metrics']['mIoU']
        for folder in (unbroken, work_dir)
    ]
    assert scores[0] == scores[1]


def test_killed_label_writing_resumes(config, unbroken, tmp_path, monkeypatch):
    work_dir = tmp_path / 'broken'
    process = PseudoLabelWriter.process
    written = []

    def stop_after_four(self, data_batch, data_samples):
        if len(written) == 4:
            (self.out_dir / 'masks' / '.tmp-half.png').write_bytes(b'half')
            raise Killed
        process(self, data_batch, data_samples)
        written.extend(sample['image_id'] for sample in data_samples)

    monkeypatch.setattr(PseudoLabelWriter, 'process', stop_after_four)
    with pytest.raises(Killed):
        run(config, work_dir)
    masks = work_dir / 'labels' / 'masks'
    times = {
        name: (masks / f'{name}.png').stat().st_mtime_ns
        for name in written
    }
    assert not read_json(work_dir / 'labels' / 'manifest.json')['complete']
    monkeypatch.setattr(PseudoLabelWriter, 'process', process)
    run(config, work_dir)
    assert times == {
        name: (masks / f'{name}.png').stat().st_mtime_ns
        for name in written
    }, 'finished masks were made again'
    assert_same(contents(unbroken), contents(work_dir))


def test_other_settings_are_refused(config, unbroken):
    config.stages.classifier.custom_hooks[-2].mu_f = 0.7
    with pytest.raises(RuntimeError, match="'classifier'.*custom_hooks"):
        run(config, unbroken)


def test_changes_stop_the_stages_that_build_on_them(config, unbroken):
    config.stages.labels.model.test_cfg.bg_thr = 0.35
    stages = {
        stage.name: stage
        for stage in StagedRunner(merged(config, work_dir=str(
            unbroken))).stages
    }
    assert stages['classifier'].is_finished()
    with pytest.raises(RuntimeError, match="'labels'.*model.test_cfg.bg_thr"):
        stages['labels'].is_finished()
    for name in ('seed', 'segmentor'):
        with pytest.raises(RuntimeError, match='builds on has changed'):
            stages[name].is_finished()


def test_how_a_run_is_watched_changes_nothing(config, unbroken):
    config.log_level = 'WARNING'
    config.default_hooks.logger.interval = 7
    assert run(config, unbroken) is None


def test_a_stray_checkpoint_is_not_continued(config, tmp_path):
    (tmp_path / 'classifier').mkdir()
    torch.save(
        dict(meta=dict(epoch=1, iter=2), state_dict={}),
        tmp_path / 'classifier' / 'epoch_1.pth')
    (tmp_path / 'classifier' / 'last_checkpoint').write_text('epoch_1.pth')
    with pytest.raises(RuntimeError, match='no stage.json'):
        run(config, tmp_path)


def test_inherited_settings(config, tmp_path):
    config.work_dir = str(tmp_path)
    config.randomness = dict(seed=7)
    stages = StagedRunner(config).stages
    assert [stage.cfg.randomness.seed for stage in stages] == [7] * 4
    assert stages[0].work_dir == str(tmp_path / 'classifier')
    assert stages[3].work_dir == str(tmp_path / 'segmentor')


def test_variables_of_a_config_may_name_other_stages(config, tmp_path):
    """Those of a base that defines another chain are not read."""
    config.work_dir = str(tmp_path)
    config.other_stages = dict(load_from='stage://elsewhere/last_checkpoint')
    stages = StagedRunner(config).stages
    assert [stage.name for stage in stages][-1] == 'segmentor'
    assert stages[0].resolved_cfg().model.type == 'CAMSegmentor'


@pytest.mark.parametrize('change, message', [
    (dict(segmentor=dict(task='train', config='x.py')), 'is taken'),
    ({
        'a/b': dict(task='train', config='x.py')
    }, 'slash'),
    (dict(seed=dict(task='val')), "'label', 'score' or 'tags', but is 'val'"),
    (dict(seed=dict(task=None)), "stage 'seed' needs config and task"),
    (dict(more=dict(config='x.py')), "stage 'more' needs config and task"),
    (dict(labels=dict(test_dataloader=dict(num_workers=3))),
     'change label_dataloader and label_evaluator instead'),
    (dict(labels=dict(load_from='stage://seed/x')),
     'must name one of the stages so far'),
    (dict(seed=dict(maps=None)), "stage 'seed' needs `maps`"),
    (dict(seed=dict(maps='classifier')),
     r"'seed' takes the maps of 'classifier', which must .* \['labels'\]"),
    (dict(seed=dict(after='classifier')),
     r"'seed' takes the maps of 'labels', which must .*label': \[\]"),
    (dict(classifier=dict(maps='labels')), "take maps, not 'train'"),
    (dict(labels=dict(label_evaluator=dict(save_maps=False))),
     'stores none: set stages.labels.label_evaluator.save_maps=True, or .* '
     'stages.seed=None'),
    (dict(seed=dict(test_dataloader=None)),
     'no `test_dataloader`.*stages.seed=None'),
    (dict(labels=dict(after='main')),
     r"'labels' is to run after 'main', .*\['classifier', 'seed'\]"),
    ({
        '3': dict(task='train')
    }, 'there is no stage 3'),
])
def test_malformed_stages(config, tmp_path, change, message):
    config.work_dir = str(tmp_path)
    config.merge_from_dict(dict(stages=change))
    with pytest.raises(ValueError, match=message):
        StagedRunner(config)


def test_labels_need_a_dataloader(config, tmp_path):
    config.work_dir = str(tmp_path)
    config.stages.labels.config = config.filename
    with pytest.raises(ValueError, match='has no `label_dataloader`'):
        StagedRunner(config)


def test_stages_by_name_and_by_number(config, tmp_path):
    """As `--cfg-options stages.0.… stages.labels.…` has it."""
    config.work_dir = str(tmp_path)
    config.merge_from_dict({
        'stages.0.train_cfg.max_epochs': 7,
        'stages.0.param_scheduler.1.end': 7,
        'stages.labels.model.test_cfg.bg_thr': .25,
        'stages.1.label_evaluator.save_maps': False,
        'stages.seed': None
    })
    classifier, labels, _ = StagedRunner(config).stages
    assert classifier.cfg.train_cfg.max_epochs == 7
    assert classifier.cfg.param_scheduler[1].end == 7
    assert classifier.cfg.param_scheduler[0].type == 'LinearLR'
    assert labels.cfg.model.test_cfg.bg_thr == .25
    assert labels.cfg.test_evaluator == dict(
        type='PseudoLabelWriter', out_dir='stage://labels', save_maps=False)


def test_missing_checkpoint_is_named(config, tmp_path):
    config.work_dir = str(tmp_path)
    stage = StagedRunner(config).stages[1]
    with pytest.raises(FileNotFoundError, match="checkpoint of stage 'classi"):
        stage.resolved_cfg()


def test_bad_validation_data_stops_before_training(config, tmp_path):
    config.val_dataloader.dataset.ann_file = 'ImageSets/nowhere.txt'
    with pytest.raises(FileNotFoundError, match='nowhere'):
        run(config, tmp_path / 'run')
    assert not (tmp_path / 'run' / 'classifier').exists()


def test_unwritable_work_dir(config, tmp_path):
    (tmp_path / 'file').write_text('')
    config.work_dir = str(tmp_path / 'file' / 'run')
    with pytest.raises(PermissionError, match='cannot write to'):
        StagedRunner(config)


@pytest.mark.parametrize('broken, error, message', [
    ('missing', FileNotFoundError, 'train_00003.png'),
    ('size', ValueError, r'train_00003.png is \(10, 10\)'),
])
def test_bad_masks_stop_before_training(config, parts, tmp_path, monkeypatch,
                                        broken, error, message):
    shutil.copytree(parts, tmp_path / 'parts')
    mask = tmp_path / 'parts/SegmentationClass/train_00003.png'
    mask.unlink()
    if broken == 'size':
        Image.new('L', (10, 10)).save(mask)
    config.stages.seed.test_dataloader = dict(
        dataset=dict(dataset=dict(data_root=str(tmp_path / 'parts'))))
    with pytest.raises(error, match=message):
        run(config, tmp_path / 'run')
    assert not (tmp_path / 'run' / 'classifier').exists()


def test_amp_reaches_all_training_stages(config, tmp_path):
    config.work_dir = str(tmp_path)
    config.optim_wrapper.type = 'AmpOptimWrapper'
    config.optim_wrapper.loss_scale = 'dynamic'
    classifier = StagedRunner(config).stages[0]
    assert classifier.cfg.optim_wrapper.type == 'AmpOptimWrapper'
    assert classifier.cfg.optim_wrapper.loss_scale == 'dynamic'


def test_pictures_of_all_stages_go_to_one_place(config, tmp_path):
    config.work_dir = str(tmp_path)
    config.visualizer.vis_backends = [dict(type='TensorboardVisBackend')]
    for stage in StagedRunner(config).stages:
        assert stage.cfg.visualizer == config.visualizer
        hook = stage.cfg.default_hooks.visualization
        assert hook.type == 'StagePicturesHook'


def check_atlas(page, run):
    """The page has all prototypes of the checkpoint, and their clusters."""
    bank = run.classifier.decode_head.bank
    kept = [row for row in page['prototypes'] if row['kept']]
    for side in ('class', 'context'):
        numbers = [0] * len(bank.class_valid)
        for row in kept:
            numbers[row['label']] += row['side'] == side
        assert numbers == getattr(bank, f'{side}_valid').sum(1).tolist()
    assert all(row['features'] > 0 for row in page['prototypes'])
    assert not any(row['patches']
                   for row in page['prototypes'] if not row['kept'])
    names = {photo['name'] for photo in page['photos']}
    for row in kept:  # a patch of each photo
        assert {patch['photo'] for patch in row['patches']} == names
        nearest = [patch['similarity'] for patch in row['patches']]
        assert nearest == sorted(nearest, reverse=True)


def test_report_shows_each_step(config, unbroken, tmp_path):
    run = RunContents(config.copy(), unbroken)
    panel, html = RunPanel(run), RunPage(run)
    with mock.patch.object(run, 'read', wraps=run.read) as read:
        assert not for_photos(run, [(2, panel.add), (3, html.add)])
    assert read.call_count == 3  # none twice
    panel = panel.draw()
    columns = [panel[30:, x:x + 192] for x in range(0, panel.shape[1], 196)]
    assert len(columns) == 6
    photos = [
        np.asarray(Image.open(path).resize((192, 192)))[4:192].astype(int)
        for path in Path(config.data_root, 'JPEGImages').iterdir()
    ]
    assert min(abs(columns[0][:188] - photo).mean() for photo in photos) < 12
    for one, two in zip(columns, columns[1:]):
        assert (one != two).any()
    html.write(tmp_path / 'page.html')
    text = (tmp_path / 'page.html').read_text().partition('id="data">')[2]
    page = json.loads(text.partition('</script>')[0])
    assert [name for name, _ in page['kinds']] == run.kinds
    assert [row[0] for row in dict(page['tables'])['Time']
            ] == ['stage', *(stage.title for stage in run.stages), 'all']
    assert [title for title, _ in page['settings']
            ] == ['the run', *(stage.title for stage in run.stages)]
    photo = page['photos'][0]
    assert [title
            for title, _ in photo['layers']] == ['pseudo label', 'prediction']
    assert photo['truth']
    doubts = [photo['confidence'] for photo in page['photos']]
    assert len(doubts) == 3 and doubts == sorted(doubts)
    check_atlas(page, run)
    # maps that were stored are those that the model would make
    found = run.read(0)
    run._maps_dir = None
    made = run.read(0)
    for kind in run.kinds:
        assert torch.allclose(
            found.maps.activation.get(kind),
            made.maps.activation.get(kind),
            atol=1e-5)


@pytest.fixture
def with_more_stages(config, unbroken, tmp_path):
    """The unbroken run, with two stages put between others."""
    labels = config.stages.labels
    config.stages.direct = dict(
        after='labels',
        task='test',
        config='classifier',
        title='not stored',
        load_from=labels.load_from,
        model=dict(
            labels.model,
            test_cfg=dict(labels.model.test_cfg, extra_map_types=['cam'])),
        test_evaluator=dict(out_file='stage://direct/scores.json'))
    config.stages.masks = dict(
        after='seed',
        task='label',
        config='classifier',
        maps='labels',
        model=dict(test_cfg=dict(bg_thr=.7)))
    config.train_dataloader.dataset.label_dir = 'stage://masks/masks'
    work_dir = tmp_path / 'more'
    for name in ('classifier', 'labels', 'seed'):
        shutil.copytree(unbroken / name, work_dir / name)
    return merged(config, work_dir=str(work_dir))


def test_stages_between_others(with_more_stages):
    """Scores of stored maps are those of the model that has made them."""
    runner = StagedRunner(with_more_stages)
    assert [stage.name for stage in runner.stages] == [
        'classifier', 'labels', 'direct', 'seed', 'masks', 'segmentor'
    ]
    assert [stage.title for stage in runner.stages] == [
        'classifier', 'pseudo label', 'not stored', 'seed', 'masks',
        'segmentor'
    ]
    assert [stage.is_finished() for stage in runner.stages
            ] == [True, True, False, True, False, False]
    assert runner.train() is not None
    work_dir = Path(with_more_stages.work_dir)
    direct = read_json(work_dir / 'direct/scores.json')
    stored = read_json(work_dir / 'seed/scores.json')
    assert set(direct['maps']) == {'cam', 'lpcam'}
    assert set(stored['maps']) == {'cam', 'lpcam', 'lpcam_f'}
    stored['maps'].pop('lpcam_f')
    assert direct == stored

    masks = {
        name: {
            path.name: np.asarray(Image.open(path))
            for path in (work_dir / name / 'masks').iterdir()
        }
        for name in ('labels', 'masks')
    }
    assert masks['labels'].keys() == masks['masks'].keys()
    covered = {
        name: sum((mask > 0).sum() for mask in found.values())
        for name, found in masks.items()
    }
    assert 0 < covered['masks'] < covered['labels']
    for name, mask in masks['masks'].items():  # only less foreground
        assert ((mask == 0) | (mask == masks['labels'][name])).all()


def test_a_report_walks_the_stages(with_more_stages):
    work_dir = Path(with_more_stages.work_dir)
    stages = stages_of(with_more_stages, work_dir)
    _, *rows = score_table(work_dir, stages)
    assert [row[0] for row in rows] == [
        f'{name} seed, the training images'
        for name in ('CAM', 'LPCAM-F', 'LPCAM')
    ]
    stages[2].title = 'one; two'
    (work_dir / 'direct').mkdir()
    scores = read_json(work_dir / 'seed/scores.json')
    scores['maps'] = dict(
        other=scores['maps']['lpcam'], cam=scores['maps']['cam'])
    write_json(work_dir / 'direct/scores.json', scores)
    _, *rows = score_table(work_dir, stages)
    # in the order of the chain
    assert [row[0].split(',')[0] for row in rows] == [
        'CAM one; two', 'other one; two', 'CAM seed', 'LPCAM-F seed',
        'LPCAM seed'
    ]


def test_scored_images_need_maps(config, parts, tmp_path):
    """The scored split may be a part of the labelled one, but no more."""
    lists = parts / 'ImageSets/Segmentation'
    names = (lists / 'train.txt').read_text().split()
    for name, chosen in (('few', names[:4]), ('most', names[3:])):
        (tmp_path / f'{name}.txt').write_text('\n'.join(chosen) + '\n')
    config.stages.seed.test_dataloader = dict(
        dataset=dict(dataset=dict(ann_file=str(tmp_path / 'few.txt'))))
    run_of(config, tmp_path / 'a')._check_datasets()
    config.stages.labels.label_dataloader = dict(
        dataset=dict(dataset=dict(ann_file=str(tmp_path / 'most.txt'))))
    with pytest.raises(
            ValueError,
            match="stage 'seed': stage 'labels' makes no maps of 3 of 4 images"
            ".*'train_00000', 'train_00001', 'train_00002'. The label_"):
        run_of(config, tmp_path / 'b')._check_datasets()


def run_of(cfg, work_dir):
    return StagedRunner(merged(cfg, work_dir=str(work_dir)))
