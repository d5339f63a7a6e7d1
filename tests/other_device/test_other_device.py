"""All that runs runs on a device other than the CPU, and there the same."""
import re
from pathlib import Path

import numpy as np
import pytest
from kill.chain import CONFIGS, make_data
from processes import ROOT, run
from torch.utils import backend_registration

from mmlpcam.utils.masks import read_index_mask

pytestmark = pytest.mark.skipif(
    not hasattr(backend_registration,
                '_setup_privateuseone_for_python_backend'),
    reason='this PyTorch has no backends in Python')
RUN = Path(__file__).with_name('run.py')
CHAIN = ROOT / 'tests/kill/chain.py'
QUICK = ('amn', 'joint')  # with them nearly all that the package has
KINDS = [
    pytest.param(kind, marks=[] if kind in QUICK else pytest.mark.slow)
    for kind in CONFIGS
]


def num_operations(output: str) -> int:
    return int(re.search(r'(\d+) operations on fakegpu$', output)[1])


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data') / 'parts'
    make_data(folder)
    return folder


def test_the_device_refuses_what_a_gpu_refuses(tmp_path):
    script = tmp_path / 'script.py'
    script.write_text("""
import torch
here, there = torch.ones(2), torch.ones(2, device='fakegpu')
assert there.device.type == 'fakegpu' and (there * 2).sum().item() == 4
there[here > 0] = here.to(there.device)
for refused in (lambda: there + here, lambda: here.clone().add_(there),
                lambda: torch.bucketize(there, here),
                lambda: there.__setitem__(here > 0, here),
                lambda: there.numpy()):
    try:
        refused()
    except RuntimeError as error:
        assert 'on the same device' in str(error), error
    except TypeError as error:
        assert "can't convert" in str(error), error
    else:
        raise AssertionError('no error')
""")
    assert num_operations(run(RUN, script)) > 0


@pytest.mark.parametrize('kind', KINDS)
def test_masks_of_a_chain_are_those_of_the_cpu(kind, data, tmp_path):
    output = run(RUN, CHAIN, kind, data, tmp_path / 'there')
    assert num_operations(output) > 10000
    run(CHAIN, kind, data, tmp_path / 'here')
    expected = {
        path.relative_to(tmp_path / 'here'): path
        for path in (tmp_path / 'here').rglob('masks*/*.png')
    }
    assert expected
    for name, path in expected.items():
        found = read_index_mask(tmp_path / 'there' / name)
        assert np.mean(found == read_index_mask(path)) > 0.99, name


def test_tools_take_the_device(data, tmp_path):
    config = tmp_path / 'small.py'
    config.write_text(f"""
_base_ = '{ROOT}/configs/lpcam/cam_r18_parts.py'
model = dict(
    backbone=dict(stem_channels=8, base_channels=8),
    decode_head=dict(
        in_channels=16,
        num_clusters=3,
        init_cfg=dict(type='Normal', std=1., override=dict(name='conv_seg'))))
train_cfg = dict(max_epochs=1)
""")
    runs = tmp_path / 'runs'
    for arguments in (
        ['train.py', config, '--work-dir', runs],
        ['test.py', config, runs / 'epoch_1.pth'],
        [
            'compare_banks.py', config, runs / 'epoch_1.pth',
            ROOT / 'configs/_base_/bank_variants.py', '--device', 'fakegpu'
        ],
        [
            'predict.py', config, runs, data / 'JPEGImages', tmp_path / 'out',
            '--device', 'fakegpu'
        ],
    ):
        name, *rest = arguments
        output = run(RUN, ROOT / 'tools' / name, *rest, PARTS_DATASET=data)
        assert num_operations(output) > 100, name
    assert len(list((tmp_path / 'out/masks').iterdir())) == 8
