"""Several gloo processes do what one does."""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from kill.chain import make_saliency
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from processes import ENV, ROOT

from mmlpcam.converters.parts import PartsSettings, make_parts_dataset
from mmlpcam.datasets.parts import CLASSES
from mmlpcam.utils.masks import read_index_mask

CONFIG = """
_base_ = '{root}/configs/lpcam/cam_r18_parts.py'
model = dict(
    backbone=dict(stem_channels=8, base_channels=8),
    decode_head=dict(in_channels=16, num_clusters=4),
    test_cfg=dict(extra_map_types=('cam', )))
"""
NUM_RANKS = (1, 2, 3)
COMPARED = [(2, 'all'), (3, 'all'), (3, 'few')]
NUM_IMAGES = 17  # an uneven share
RARE, ABSENT = 'rover', 'glider'  # in one image, and so on one rank; in none
RARE_IMAGE = 'train_00004'


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        return sock.getsockname()[1]


@pytest.fixture(scope='module')
def job(tmp_path_factory):
    """Data, config and an untrained checkpoint whose maps are not flat."""
    folder = tmp_path_factory.mktemp('job')
    make_parts_dataset(
        str(folder / 'parts'),
        PartsSettings(num_train=NUM_IMAGES, num_val=1, size=(64, 64)))
    for file in (folder / 'parts/Annotations').glob('train_*.xml'):
        unwanted = {ABSENT} if file.stem == RARE_IMAGE else {ABSENT, RARE}
        present = set(re.findall('<name>(.*)</name>', file.read_text()))
        file.write_text('<annotation>' +
                        ''.join(f'<object><name>{name}</name></object>'
                                for name in sorted(present - unwanted)) +
                        '</annotation>')
    make_saliency(folder / 'parts')
    (folder / 'config.py').write_text(CONFIG.format(root=ROOT))
    cfg = Config.fromfile(str(folder / 'config.py'))
    init_default_scope('mmseg')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    model.decode_head.conv_seg.weight.data.normal_()
    torch.save(dict(state_dict=model.state_dict()), folder / 'start.pth')
    return folder


def build(job, out, *options):
    return [
        ROOT / 'tools/build_prototypes.py', job / 'config.py',
        job / 'start.pth', out,
        *(['--cfg-options', *options] if options else [])
    ]


def evaluate(job, out, *options):
    return [
        ROOT / 'tools/test.py', job / 'config.py', job / '1/all.pth',
        '--work-dir', out / 'work', '--cfg-options', *options
    ]


def label(job, out, *options):
    return evaluate(
        job,
        out,
        'test_cfg.type=PseudoLabelLoop',
        'test_evaluator._delete_=True',
        'test_evaluator.type=PseudoLabelWriter',
        f'test_evaluator.out_dir={out}',
        # asks all ranks for the median of the set
        'model.test_cfg.bg_thr=otsu',
        *options)


@pytest.fixture(scope='module')
def ranks(job):
    """Folder of what 1, 2 and 3 processes made of it."""
    jobs = []
    for number in NUM_RANKS:
        out = job / str(number)
        steps = [
            build(job, out / 'all.pth'),
            label(job, out / 'all'),
            evaluate(job, out / 'all',
                     f'test_evaluator.out_file={out / "all/scores.json"}')
        ]
        if number != 2:  # 2 images, and so nothing to do for a third rank
            indices = 'dataset.dataset.indices=2'
            steps += [
                build(job, out / 'few.pth', f'custom_hooks.2.{indices}'),
                label(job, out / 'few', f'test_dataloader.{indices}',
                      'test_dataloader.sampler.round_up=False')
            ]
        jobs.append(dict(folder=out, num_ranks=number, steps=steps))
    jobs.append(
        dict(
            folder=job / 'bad',
            num_ranks=2,
            steps=[[
                ROOT / 'tools/train.py',
                ROOT / 'configs/lpcam/deeplabv3_parts.py', '--work-dir',
                job / 'bad/work', '--cfg-options',
                'val_dataloader.dataset.ann_file=nowhere.txt'
            ]]))
    for each in jobs:
        each['port'] = free_port()
    subprocess.run([
        sys.executable,
        str(Path(__file__).with_name('ranks.py')),
        json.dumps(jobs, default=str)
    ],
                   env={
                       **ENV, 'PARTS_DATASET': str(job / 'parts')
                   },
                   cwd=job,
                   check=True)
    return job


def outputs(folder):
    """Exit status and output of each rank."""
    return [(status, (folder / f'rank{rank}.txt').read_text())
            for rank, status in enumerate(
                json.loads((folder / 'statuses.json').read_text()))]


def bank(path):
    state = torch.load(path, weights_only=False)['state_dict']
    return {
        key.rpartition('.')[2]: value
        for key, value in state.items() if '.bank.' in key
    }


def assert_same_bank(one, two):
    assert one.keys() == two.keys()
    for key, value in one.items():
        torch.testing.assert_close(
            value.float(), two[key].float(), rtol=0, atol=1e-4, msg=key)


def files(folder):
    """Masks, manifest and scores byte by byte."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in [*folder.glob('masks/*'), *folder.glob('*.json')]
    }


@pytest.mark.parametrize('number', NUM_RANKS)
def test_all_ranks_end_well_and_rank_0_tells(ranks, number):
    first, *others = outputs(ranks / str(number))
    assert first[0] == 0, first[1][-3000:]
    assert first[1].count(f'{NUM_IMAGES} masks written to') == 1
    for name in ('CAM', 'LPCAM'):
        assert re.search(rf'\| +{name} +\|', first[1]), 'no table'
    assert len(others) == number - 1
    for status, text in others:
        assert status == 0, text[-3000:]
        told = re.findall('(?:INFO|WARNING) - (.*)', text)
        # MMEngine reads configs before it knows the ranks
        assert all(line.startswith('Using env variable') for line in told)


@pytest.mark.parametrize('number, name', COMPARED)
def test_same_bank(ranks, number, name):
    one, other = (bank(ranks / str(n) / f'{name}.pth') for n in (1, number))
    assert_same_bank(one, other)
    built = one['class_valid'].any(1) & one['context_valid'].any(1)
    assert built.sum() == (4 if name == 'all' else 2)
    assert built[CLASSES.index(RARE) - 1] == (name == 'all')
    assert not built[CLASSES.index(ABSENT) - 1]


def test_ranks_ask_for_one_typical_threshold(ranks):
    settings = json.loads((ranks / '1/all/manifest.json').read_text())
    assert re.fullmatch(r'otsu:0\.\d{4}',
                        settings['settings']['test_cfg']['bg_thr'])


@pytest.mark.parametrize('number, name', COMPARED)
def test_same_files(ranks, number, name):
    one, other = (files(ranks / str(n) / name) for n in (1, number))
    assert len(one) == (NUM_IMAGES + 2 if name == 'all' else 3)
    assert one.keys() == other.keys()
    for path, content in one.items():
        assert content == other[path], path
    if name == 'all':
        assert json.loads(one['scores.json'])['num_images'] == NUM_IMAGES


def test_labels_decide_the_masks(ranks):
    """The comparison above is not one of empty masks."""
    masks = {
        file.stem: set(read_index_mask(file).flatten())
        for file in (ranks / '1/all/masks').iterdir()
    }
    assert masks[RARE_IMAGE] == {0, CLASSES.index(RARE)}
    assert masks['train_00000'] == {0, 1}
    assert masks['train_00014'] == {0}  # no label


def test_every_rank_stops_at_a_bad_config(ranks):
    for status, text in outputs(ranks / 'bad'):
        assert status == 1
        assert 'error: ' in text and 'nowhere.txt' in text
        assert 'Traceback' not in text
    assert not list((ranks / 'bad/work').glob('*/*.pth'))


def dist(script, *arguments, cwd, **env):
    """Run a script that users call."""
    return subprocess.run(
        [str(ROOT / 'tools' / script), *map(str, arguments)],
        env={
            **ENV, 'PORT': str(free_port()),
            'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}',
            **{
                key: str(value)
                for key, value in env.items()
            }
        },
        cwd=cwd,
        capture_output=True,
        text=True)


def test_an_error_on_one_rank_stops_the_others(job, tmp_path):
    shutil.copytree(job / 'parts', tmp_path / 'parts')
    broken = tmp_path / 'parts/JPEGImages/train_00001.jpg'
    broken.write_bytes(b'nothing')  # of the second rank
    done = dist(
        'dist_test.sh',
        job / 'config.py',
        job / 'start.pth',
        2,
        '--work-dir',
        tmp_path / 'work',
        '--cfg-options',
        'model.test_cfg.map_type=cam',
        cwd=tmp_path,
        PARTS_DATASET=tmp_path / 'parts')
    assert done.returncode == 1
    assert 'rank      : 1 (local_rank: 1)' in done.stderr


def large_weights(head):
    """Options after which maps exist although little is learned."""
    return [
        f'{head}.init_cfg.{setting}'
        for setting in ('type=Normal', 'std=1.', 'override.name=conv_seg')
    ]


def dist_train(job, config, work_dir, processes, *options):
    """Train by the script that users call."""
    done = dist(
        'dist_train.sh',
        ROOT / config,
        processes,
        '--work-dir',
        work_dir,
        '--cfg-options',
        *options,
        cwd=job,
        PARTS_DATASET=job / 'parts',
        SALIENCY=job / 'parts/saliency')
    assert done.returncode == 0, done.stderr[-3000:]


SHORT = [
    'train_cfg.max_epochs=1', 'stages.0.train_cfg.max_epochs=2',
    *large_weights('stages.0.model.decode_head')
]


def alone(job, tool, *arguments):
    """Run a tool without a launcher."""
    done = subprocess.run(
        [sys.executable,
         str(ROOT / 'tools' / tool), *map(str, arguments)],
        env={
            **ENV, 'PARTS_DATASET': str(job / 'parts')
        },
        cwd=job,
        capture_output=True,
        text=True)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_dist_train_runs_the_whole_chain(job):
    """All stages on three processes; the checkpoint gives its own bank."""
    dist_train(job, 'configs/lpcam/deeplabv3_parts.py', job / 'chain', 3,
               *SHORT)
    assert len(list((job / 'chain/labels/masks').iterdir())) == NUM_IMAGES
    assert (job / 'chain/segmentor/epoch_1.pth').exists()
    trained = job / 'chain/classifier/epoch_2.pth'
    alone(job, 'build_prototypes.py', ROOT / 'configs/lpcam/cam_r18_parts.py',
          trained, job / 'rebuilt.pth')
    assert_same_bank(bank(trained), bank(job / 'rebuilt.pth'))


@pytest.mark.slow
def test_joint_labels_are_those_of_the_checkpoint(job):
    """Three processes refresh labels; one makes the same from the end."""
    config = 'configs/lpcam/deeplabv3_parts_joint'
    dist_train(job, f'{config}.py', job / 'joint', 3, 'train_cfg.max_epochs=2',
               'custom_hooks.2.begin=1', 'custom_hooks.2.interval=1',
               *large_weights('model.auxiliary_head'))
    alone(job, 'test.py', ROOT / f'{config}_maps.py',
          job / 'joint/epoch_2.pth', '--out', job / 'joint_maps')
    expected = files(job / 'joint_maps')
    found = files(job / 'joint/labels/epoch_2')
    masks = [name for name in expected if name.endswith('.png')]
    assert len(masks) == NUM_IMAGES
    for name in masks:
        assert found[name] == expected[name], name


@pytest.mark.slow
@pytest.mark.parametrize('name, again, options', [
    ('irn', ('ir_labels', 'labels', 'refined'), []),
    ('amn', ('ir_labels', 'amn_maps', 'amn_seed', 'amn_labels', 'labels',
             'refined'), []),
    ('psa', ('psa_labels', 'labels', 'refined'), []),
    ('recam',
     ('labels', 'seed'), large_weights('stages.recam.model.decode_head')),
    ('mctformer', ('labels', 'seed'), []),
    ('edam', ('labels', 'refined'), []),
    ('par', ('labels', 'refined'), []),
])
def test_maps_and_masks_do_not_depend_on_the_processes(job, name, again,
                                                       options):
    """Each chain on three; what has no training made anew on one."""
    config = f'configs/{name}/deeplabv3_parts.py'
    # 17 images: no batch of one, on three processes or one
    options = [*SHORT, 'train_dataloader.batch_size=6', *options]
    for stage in ('irn', 'amn', 'psa', 'recam'):
        if f'/{stage}' in config or name == 'amn' and stage == 'irn':
            options.append(f'stages.{stage}.train_cfg.max_epochs=1')
    work = job / name
    dist_train(job, config, work, 3, *options)
    before = {stage: files(work / stage) for stage in again}
    assert all(
        any(file.endswith(('.png', '.npz', '.json')) for file in found)
        for found in before.values())
    for stage in again:
        shutil.rmtree(work / stage)
    dist_train(job, config, work, 1, *options)
    assert {stage: files(work / stage) for stage in again} == before
