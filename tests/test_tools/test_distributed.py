"""Two gloo processes do what one does."""
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from mmlpcam.datasets.parts_generator import PartsSettings, make_parts_dataset

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
_base_ = '{root}/configs/lpcam/cam_r18_parts.py'
model = dict(
    backbone=dict(stem_channels=8, base_channels=8),
    decode_head=dict(in_channels=16, num_clusters=4),
    test_cfg=dict(extra_map_types=('cam', )))
"""
# a clone that is not installed must work as well
ENV = {
    **os.environ, 'PYTHONPATH': str(ROOT),
    'OMP_NUM_THREADS': '1',
    'PYTHONWARNINGS': 'ignore'
}


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        return sock.getsockname()[1]


def run(arguments, processes=1, **env):
    """Run a tool alone, or under the launcher."""
    command = [sys.executable]
    if processes > 1:
        command += [
            '-m', 'torch.distributed.run', f'--nproc_per_node={processes}',
            f'--master_port={free_port()}'
        ]
        arguments = [*arguments, '--launcher', 'pytorch']
    done = subprocess.run([*command, *map(str, arguments)],
                          env={
                              **ENV,
                              **env
                          },
                          capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope='module')
def job(tmp_path_factory):
    """Data, config and an untrained checkpoint whose maps are not flat."""
    folder = tmp_path_factory.mktemp('job')
    # 11 images: an uneven share
    make_parts_dataset(
        str(folder / 'parts'),
        PartsSettings(num_train=11, num_val=1, size=(64, 64)))
    (folder / 'config.py').write_text(CONFIG.format(root=ROOT))
    cfg = Config.fromfile(str(folder / 'config.py'))
    init_default_scope('mmseg')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    model.decode_head.conv_seg.weight.data.normal_()
    torch.save(dict(state_dict=model.state_dict()), folder / 'start.pth')
    return folder


def bank(path):
    state = torch.load(path, weights_only=True)['state_dict']
    found = {key: value for key, value in state.items() if '.bank.' in key}
    assert found['decode_head.bank.class_valid'].any()
    return found


@pytest.fixture(scope='module')
def banks(job):
    for processes in (1, 2):
        run([
            ROOT / 'tools/build_prototypes.py', job / 'config.py',
            job / 'start.pth', job / f'bank{processes}.pth'
        ],
            processes,
            PARTS_DATASET=str(job / 'parts'))
    return bank(job / 'bank1.pth'), bank(job / 'bank2.pth')


def test_two_processes_build_the_same_bank(banks):
    one, two = banks
    assert one.keys() == two.keys()
    for key, value in one.items():
        torch.testing.assert_close(
            value.float(), two[key].float(), rtol=0, atol=1e-4)


def test_two_processes_write_the_same_masks_and_scores(job, banks):
    tables = []
    for processes in (1, 2):
        out = job / f'labels{processes}'
        run([
            ROOT / 'tools/test.py', job / 'config.py', job / 'bank1.pth',
            '--work-dir', job / 'work', '--cfg-options',
            'test_cfg.type=PseudoLabelLoop', 'test_evaluator._delete_=True',
            'test_evaluator.type=PseudoLabelWriter',
            f'test_evaluator.out_dir={out}'
        ],
            processes,
            PARTS_DATASET=str(job / 'parts'))
        log = run([
            ROOT / 'tools/test.py', job / 'config.py', job / 'bank1.pth',
            '--work-dir', job / 'work', '--cfg-options',
            f'test_evaluator.out_file={out / "scores.json"}'
        ],
                  processes,
                  PARTS_DATASET=str(job / 'parts'))
        for name in ('CAM', 'LPCAM'):
            assert re.search(rf'\| +{name} +\|', log), 'no table'
        tables.append((out / 'scores.json').read_text())
    assert tables[0] == tables[1]
    masks = sorted((job / 'labels1' / 'masks').iterdir())
    assert len(masks) == 11
    for mask in masks:
        other = job / 'labels2' / 'masks' / mask.name
        assert mask.read_bytes() == other.read_bytes(), mask.name


def dist_train(job, config, work_dir, processes, *options):
    """Run a chain by the script that users call."""
    done = subprocess.run(
        [
            str(ROOT / 'tools/dist_train.sh'),
            str(ROOT / config),
            str(processes), '--work-dir',
            str(work_dir), '--cfg-options', 'train_cfg.max_epochs=1',
            'stages.0.train_cfg.max_epochs=2',
            'stages.0.model.decode_head.init_cfg.type=Normal',
            'stages.0.model.decode_head.init_cfg.std=1.',
            'stages.0.model.decode_head.init_cfg.override.name=conv_seg',
            *options
        ],
        env={
            **ENV, 'PARTS_DATASET': str(job / 'parts'),
            'PORT': str(free_port()),
            'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
        },
        capture_output=True,
        text=True)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_dist_train_runs_the_whole_chain(job):
    """All stages on two processes."""
    dist_train(job, 'configs/lpcam/deeplabv3_parts.py', job / 'chain', 2)
    assert len(list((job / 'chain/labels/masks').iterdir())) == 11
    assert (job / 'chain/segmentor/epoch_1.pth').exists()


@pytest.mark.slow
def test_refinement_does_not_depend_on_the_processes(job):
    """The IRN chain on two; its labels made anew on one are the same."""
    options = ('configs/irn/deeplabv3_parts.py', job / 'irn')
    short = 'stages.irn.train_cfg.max_epochs=1'
    dist_train(job, *options, 2, short)
    folders = [job / 'irn' / name for name in ('ir_labels', 'labels')]
    masks = {
        path: path.read_bytes()
        for folder in folders
        for path in (folder / 'masks').iterdir()
    }
    assert len(masks) == 22
    scores = (job / 'irn/refined/scores.json').read_text()
    for folder in (*folders, job / 'irn/refined'):
        shutil.rmtree(folder)
    dist_train(job, *options, 1, short)
    for path, content in masks.items():
        assert path.read_bytes() == content, path
    assert (job / 'irn/refined/scores.json').read_text() == scores
