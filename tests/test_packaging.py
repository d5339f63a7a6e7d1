"""What a user has after `pip install`, without the checkout."""
import json
import os
import re
import shutil
import socket
import sys
import zipfile
from pathlib import Path

import mmseg
import pytest

from mmlpcam import config_path

ROOT = Path(__file__).resolve().parents[1]
# little training; large weights, so that there are maps all the same
SHORT = [
    'stages.classifier.train_cfg.max_epochs=1',
    'stages.classifier.model.decode_head.init_cfg.type=Normal',
    'stages.classifier.model.decode_head.init_cfg.std=1.',
    'stages.classifier.model.decode_head.init_cfg.override.name=conv_seg',
]
MAKE_DATA = ('-m', 'mmlpcam.tools.dataset_converters.make_parts_dataset',
             'data/parts', '--num-train', '11', '--num-val', '2', '--size',
             '64', '64')


def test_wheel_holds_package_configs_and_tools(installed):
    expected = {
        f'{target}/{path.relative_to(ROOT / source).as_posix()}'
        for source, target in [(
            'mmlpcam',
            'mmlpcam'), ('configs',
                         'mmlpcam/configs'), ('tools', 'mmlpcam/tools')]
        for path in (ROOT / source).rglob('*')
        if path.is_file() and '__pycache__' not in path.parts
    }
    with zipfile.ZipFile(installed.wheel) as wheel:
        names = {
            name
            for name in wheel.namelist()
            if not re.match(r'mmlpcam-[^/]*\.dist-info/', name)
        }
    assert names == expected


def test_config_path_in_a_checkout():
    path = config_path('lpcam/deeplabv3_voc.py')
    assert path == str(ROOT / 'configs/lpcam/deeplabv3_voc.py')


@pytest.mark.parametrize('name, advice', [
    ('lpcam/deeplabv3_vok.py', "did you mean 'lpcam/deeplabv3_voc.py'"),
    ('deeplabv3_voc.py', "'lpcam/deeplabv3_voc.py'"),
    ('lpcam', 'give a path below'),
    ('', 'give a path below'),
])
def test_unknown_config(name, advice):
    with pytest.raises(FileNotFoundError, match=re.escape(repr(name))) as info:
        config_path(name)
    assert advice in str(info.value)


LOAD = """
import json, mmlpcam, sys
from mmengine.config import Config
found = {}
for name in sys.argv[1:]:
    path = mmlpcam.config_path(name)
    stages = Config.fromfile(path).get('stage_configs', {})
    found[name] = [path, *stages.values()]
json.dump(found, open('found.json', 'w'))
"""


def test_each_config_loads_from_the_wheel(installed, tmp_path):
    configs = installed.path / 'mmlpcam/configs'
    names = [
        path.relative_to(configs).as_posix()
        for path in configs.glob('[!_]*/*.py')
    ]
    installed.run(['-c', LOAD, *names], tmp_path)
    found = json.loads((tmp_path / 'found.json').read_text())
    assert len(found) == len(names) > 30
    for name, (path, *stages) in found.items():
        assert path == str(configs / name)
        for stage in map(Path, stages):
            assert stage.is_file() and configs in stage.parents


def test_train_tool_from_the_wheel(installed, tmp_path):
    output = installed.run(['-m', 'mmlpcam.tools.train', '-h'], tmp_path)
    assert 'usage: train.py' in output


@pytest.fixture
def project(installed, tmp_path):
    """Copy the example, and make data for it as its README says."""
    folder = tmp_path / 'my_project'
    shutil.copytree(ROOT / 'examples/my_project', folder)
    installed.run(MAKE_DATA, folder)
    return folder


@pytest.fixture
def mmseg_train():
    """Find MMSegmentation's own `tools/train.py`."""
    tool = Path(mmseg.__file__).parent / '.mim/tools/train.py'
    if not tool.exists():
        pytest.skip('this MMSegmentation does not ship its tools')
    return tool


@pytest.mark.slow
def test_staged_example_runs_by_the_tool_of_mmseg(installed, project,
                                                  mmseg_train):
    output = installed.run([
        mmseg_train, 'configs/fcn_r18_parts_image-labels.py', '--work-dir',
        'run', '--cfg-options', *SHORT, 'train_cfg.max_iters=3',
        'train_cfg.val_interval=3'
    ], project)
    # the project's own names of the classes
    assert re.search(r'\| +rover +\|', output)
    state = json.loads((project / 'run/segmentor/stage.json').read_text())
    assert state['finished'] and 'mIoU' in state['metrics']
    assert len(list((project / 'run/labels/masks').iterdir())) == 11
    dataset = state['settings']['train_dataloader']['dataset']
    assert dataset['type'] == 'PseudoLabelDataset'
    assert dataset['dataset']['type'] == 'BaseSegDataset'


def test_joint_example_runs_by_the_tool_of_mmseg(installed, project,
                                                 mmseg_train):
    # loader processes meet the labels a few batches later
    installed.run([
        mmseg_train, 'configs/fcn_r18_parts_joint.py', '--work-dir', 'run',
        '--cfg-options', 'train_cfg.max_iters=10', 'train_cfg.val_interval=10',
        'default_hooks.logger.interval=1', 'custom_hooks.0.begin=2',
        'model.auxiliary_head.init_cfg.type=Normal',
        'model.auxiliary_head.init_cfg.std=1.',
        'model.auxiliary_head.init_cfg.override.name=conv_seg'
    ], project)
    log, = (project / 'run').glob('*/vis_data/scalars.json')
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert 'mIoU' in rows.pop()
    losses = [row['decode.loss_ce'] for row in rows]
    assert losses[0] == losses[1] == 0 < losses[-1]
    assert len(list((project / 'run/labels/masks').iterdir())) == 11


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        return sock.getsockname()[1]


@pytest.mark.slow
@pytest.mark.parametrize('launch', ['torchrun', 'dist_train.sh'])
def test_two_processes_train_from_the_wheel(installed, project, launch):
    config = 'configs/fcn_r18_parts_image-labels.py'
    port = free_port()
    if launch == 'torchrun':
        command = [
            sys.executable, '-m', 'torch.distributed.run',
            '--nproc_per_node=2', f'--master_port={port}', '-m',
            'mmlpcam.tools.train', config, '--launcher', 'pytorch'
        ]
    else:
        command = [installed.path / 'mmlpcam/tools/dist_train.sh', config, '2']
    installed.run_script([
        *command, '--work-dir', 'run', '--cfg-options', *SHORT,
        'train_cfg.max_iters=3', 'train_cfg.val_interval=3'
    ], project, dict(PORT=str(port)))
    state = json.loads((project / 'run/segmentor/stage.json').read_text())
    assert state['finished']


# Stands for the program of Slurm: notes its own options and runs the rest.
SRUN = """\
#!/usr/bin/env bash
while [[ $1 == -* ]]; do
    echo "$1" >> options
    shift
done
exec "$@"
"""


@pytest.mark.parametrize('script, files', [
    ('slurm_train.sh', ['config.py']),
    ('slurm_test.sh', ['config.py', 'checkpoint.pth']),
])
def test_slurm(installed, tmp_path, script, files):
    (tmp_path / 'srun').write_text(SRUN)
    (tmp_path / 'srun').chmod(0o755)
    path = f'{tmp_path}:{Path(sys.executable).parent}:{os.environ["PATH"]}'
    output = installed.run_script([
        installed.path / 'mmlpcam/tools' / script, 'gpus', 'a job', *files,
        '--help'
    ], tmp_path,
                                  dict(
                                      PATH=path,
                                      GPUS='16',
                                      GPUS_PER_NODE='8',
                                      SRUN_ARGS='--quiet --exclusive'))
    tool = script[len('slurm_'):-len('.sh')]
    assert f'usage: {tool}.py' in output
    assert (tmp_path / 'options').read_text().splitlines() == [
        '--partition=gpus', '--job-name=a job', '--gres=gpu:8', '--ntasks=16',
        '--ntasks-per-node=8', '--cpus-per-task=5', '--kill-on-bad-exit=1',
        '--quiet', '--exclusive'
    ]
