"""What examples/add_your_own adds, from the wheel, in fresh processes.

And the worker of examples/ray_data.py.
"""
import importlib.util
import json
import os
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from mmlpcam.structures import ActivationMaps
from mmlpcam.utils import write_checkpoint
from mmlpcam.utils.photos import read_photo

EXAMPLES = Path(__file__).resolve().parents[1] / 'examples' / 'add_your_own'
TINY = [
    'model.backbone.stem_channels=8', 'model.backbone.base_channels=8',
    'train_cfg.max_epochs=1', 'train_dataloader.batch_size=4'
]
CAM = ['model.decode_head.in_channels=16']
# weights that give maps before anything is learned
INIT = [
    f'{{}}decode_head.init_cfg.{option}'
    for option in ('type=Normal', 'std=1.', 'override.name=conv_seg')
]


def init(prefix: str) -> list[str]:
    return [option.format(prefix) for option in INIT]


@pytest.fixture
def project(installed, tmp_path):
    """A copy of the examples, and the generated data set beside it."""
    folder = tmp_path / 'add_your_own'
    shutil.copytree(EXAMPLES, folder)
    installed.run([
        '-m', 'mmlpcam.tools.dataset_converters.make_parts_dataset',
        tmp_path / 'parts', '--num-train', '6', '--num-val', '2'
    ], tmp_path)
    return folder


@pytest.fixture
def train(installed, project):

    def run(config: str, options: list[str], tool: str = 'train') -> None:
        command = ['-m', f'mmlpcam.tools.{tool}', f'configs/{config}.py']
        if tool == 'train':
            command += ['--work-dir', 'run']
        else:
            command += ['run/epoch_1.pth', '--work-dir', 'scores']
        installed.run([*command, '--cfg-options', *options], project,
                      dict(
                          PARTS_DATASET=str(project.parent / 'parts'),
                          PYTHONPATH=f'{installed.path}:{project}'))

    return run


@pytest.mark.parametrize('name',
                         [p.stem
                          for p in EXAMPLES.glob('*.py')] + ['timm_backbone'])
def test_forty_lines(name):
    files = [EXAMPLES / f'{name}.py', EXAMPLES / 'configs' / f'{name}.py']
    lines = [
        line for file in files if file.exists()
        for line in file.read_text().splitlines()
    ]
    assert 0 < len(lines) <= 40


def test_map_method(train, project):
    train('top_k', TINY + CAM + init('model.'))
    train('top_k', TINY[:2] + CAM, tool='test')
    log, = (project / 'scores').glob('*/*.json')
    scores = json.loads(log.read_text())
    assert 0 <= scores['seed/topk/mIoU'] <= 100
    assert not [key for key in scores if 'lpcam' in key]


def test_refiner(train, project):
    options = ['model.backbone.stem_channels=8',
               'model.backbone.base_channels=8',
               'model.decode_head.in_channels=32',
               'model.decode_head.channels=8', 'train_cfg.max_epochs=1',
               'train_dataloader.batch_size=4']  # yapf: disable
    for stage in ('classifier', 'labels'):
        options += [f'stages.{stage}.{text}' for text in (
            'model.backbone.stem_channels=8', 'model.backbone.base_channels=8',
            'model.decode_head.in_channels=16',
            'model.decode_head.num_clusters=3',
            *init('model.'))]  # yapf: disable
    options += [f'stages.classifier.{text}' for text in TINY[2:]]
    options += ['stages.guided.label_evaluator.save_maps=True']
    train('guided_filter', options)
    files = sorted((project / 'run/guided/maps').glob('*.npz'))
    assert len(files) == 6
    for file in files:
        maps = ActivationMaps.load(file)
        seeds = ActivationMaps.load(project / 'run/labels/maps' / file.name)
        assert maps.source == 'guided' and seeds.source == 'lpcam'
        assert maps.labels == seeds.labels and maps.size == seeds.size
        assert not (maps.full() == seeds.full()).all()
    state = json.loads((project / 'run/segmentor/stage.json').read_text())
    assert state['finished']


def test_label_source(train, project):
    data = project.parent / 'parts'
    for xml in (data / 'Annotations').glob('*.xml'):
        tags = {name.text for name in ElementTree.parse(xml).iter('name')}
        (data / 'JPEGImages' / f'{xml.stem}.txt').write_text('\n'.join(tags))
    shutil.rmtree(data / 'Annotations')  # nothing else knows the tags
    options = TINY + CAM + ['model.decode_head.num_clusters=3']
    train('sidecar_labels', options + init('model.'))
    assert (project / 'run/epoch_1.pth').exists()
    # one that is missing is named
    text = next((data / 'JPEGImages').glob('train_*.txt'))
    text.unlink()
    shutil.rmtree(project / 'run')
    with pytest.raises(AssertionError, match=text.stem):
        train('sidecar_labels', options)


@pytest.mark.skipif(
    importlib.util.find_spec('timm') is None, reason='needs timm')
def test_timm_backbone(installed, project):
    """Features at stride 16, which the head of the config fits."""
    weights = os.environ.get('TIMM_WEIGHTS') or str(
        EXAMPLES.parents[2] / 'shared/weights' /
        'efficientnet_lite2_timm_fp16.pth')
    if not Path(weights).is_file():
        pytest.skip(f'no {weights}: set TIMM_WEIGHTS')
    installed.run(['-c', LOAD_TIMM], project, dict(TIMM_WEIGHTS=weights))


LOAD_TIMM = """
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from mmlpcam.models import multi_scale_maps
init_default_scope('mmseg')
model = MODELS.build(Config.fromfile('configs/timm_backbone.py').model).eval()
maps = multi_scale_maps(model, torch.randn(1, 3, 75, 100), [(3, )], ['cam'])
assert maps[0]['cam'].full().shape == (1, 75, 100)
assert model.backbone.timm_model.conv_stem.weight.std() > .1  # trained
"""


def test_ray_example_without_ray(tiny, voc_mini, tmp_path):
    """What a worker does with a batch."""
    spec = importlib.util.spec_from_file_location(
        'ray_data', EXAMPLES.parent / 'ray_data.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / 'config.py').write_text(
        f'model = {tiny.cfg(bg_thr=.5)!r}\n'
        "test_pipeline = [dict(type='LoadPhoto'), dict(type='PackSegInputs')]")
    write_checkpoint(
        dict(
            state_dict=tiny.build(with_bank=True).state_dict(),
            meta=dict(dataset_meta=voc_mini.metainfo)), tmp_path / 'model.pth')
    worker = module.Masks(
        str(tmp_path / 'config.py'), str(tmp_path / 'model.pth'))
    paths = [
        str(voc_mini.root / f'JPEGImages/{name}.jpg')
        for name in voc_mini.image_ids
    ]
    expected = worker.inferencer(paths)['predictions']
    found = worker(
        dict(
            path=np.array(paths),
            image=[read_photo(path)[..., ::-1] for path in paths]))
    for i, mask in enumerate(expected):
        size = found['height'][i], found['width'][i]
        assert np.array_equal(
            np.frombuffer(found['mask'][i], np.uint8).reshape(size), mask)
