"""Shared folders, a tiny classifier and a tiny data set."""
import gc
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope, init_default_scope
from mmengine.visualization import Visualizer
from mmseg.registry import MODELS
from mmseg.utils import register_all_modules
from mmseg.visualization import SegLocalVisualizer
from PIL import Image

import mmlpcam  # noqa: F401, registers its components

REPO = Path(__file__).resolve().parents[1]
# Programs that tests start; the search for examples would import them here.
collect_ignore = [
    'test_tools/ranks.py', 'test_tools/dying_tool.py', 'kill/chain.py',
    'other_device/run.py'
]

# Several threads cost more than they bring at these sizes.
torch.set_num_threads(1)
# MMEngine collects garbage whenever a data set is built, which would go
# through all that was imported: half of the time of many tests.
gc.freeze()


def _shared_dir(variable: str, default: str) -> Path:
    folder = Path(os.environ.get(variable) or REPO.parent / 'shared' / default)
    if not folder.is_dir():
        pytest.skip(f'no folder {folder}: set {variable}')
    return folder


@pytest.fixture(scope='session')
def parity() -> Path:
    """Folder of the numbers that the official codes computed."""
    return _shared_dir('MMLPCAM_PARITY', 'parity')


@pytest.fixture(scope='session')
def coco_mini() -> Path:
    """Folder of the real photos."""
    return _shared_dir('COCO_MINI', 'data/coco-mini')


@pytest.fixture(scope='session')
def voc_animals() -> Path:
    """Folder of the photos of five animals of PASCAL VOC."""
    return _shared_dir('VOC_ANIMALS', 'data/voc-animals')


@dataclass(frozen=True)
class Installed:
    """A wheel of the checkout, installed into a folder of its own."""
    wheel: Path
    path: Path

    def run(self, args: Sequence, cwd: Path, env: dict | None = None) -> str:
        """Run Python in a fresh process that imports the installed mmlpcam.

        `args` are those of Python, such as `['-m', 'mmlpcam.tools.train',
        config]`; `cwd` is a folder outside the checkout; `env` is added to
        the environment. A process that fails fails the test; else its
        standard output is returned.
        """
        return self.run_script([sys.executable, *args], cwd, env)

    def run_script(self,
                   command: Sequence,
                   cwd: Path,
                   env: dict | None = None) -> str:
        """Run any command likewise."""
        full_env = dict(
            os.environ,
            # before site-packages, where the checkout may be installed too
            PYTHONPATH=str(self.path),
            PATH=f'{Path(sys.executable).parent}:{os.environ["PATH"]}',
            PYTHONWARNINGS='ignore',
            OMP_NUM_THREADS='1')
        full_env.update(env or {})
        done = subprocess.run([*map(str, command)],
                              cwd=cwd,
                              env=full_env,
                              capture_output=True,
                              text=True)
        assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
        return done.stdout


@pytest.fixture(scope='session')
def installed(tmp_path_factory) -> Installed:
    """Build an sdist, a wheel from it, and install that."""
    folder = tmp_path_factory.mktemp('wheel')
    # a build leaves files behind, which the next one would pack
    shutil.copytree(
        REPO,
        folder / 'source',
        ignore=shutil.ignore_patterns('.*', 'build', 'dist', 'data',
                                      'work_dirs', '*.egg-info',
                                      '__pycache__'))
    subprocess.run([sys.executable, 'setup.py', '-q', 'sdist', '-d', folder],
                   cwd=folder / 'source',
                   check=True)
    sdist, = folder.glob('*.tar.gz')
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check', '-q']
    offline = ['--no-index', '--no-deps']
    subprocess.run(
        [*pip, 'wheel', *offline, '--no-build-isolation', '-w', folder, sdist],
        check=True)
    wheel, = folder.glob('*.whl')
    path = folder / 'installed'
    subprocess.run([*pip, 'install', *offline, '--target', path, wheel],
                   check=True)
    result = Installed(wheel, path)
    found = result.run([
        '-c', 'import importlib.util; '
        "print(importlib.util.find_spec('mmlpcam').origin)"
    ], folder)
    assert Path(found.strip()) == path / 'mmlpcam/__init__.py'
    return result


@pytest.fixture(autouse=True)
def clean_state():
    """Forget what runners keep for the whole process.

    As mmengine/testing/runner_test_case.py does.
    """
    yield
    for logger in MMLogger._instance_dict.values():
        for handler in list(logger.handlers):
            if isinstance(handler, logging.FileHandler):
                handler.close()
                logger.removeHandler(handler)
    for holder in (MMLogger, MessageHub, Visualizer, SegLocalVisualizer,
                   DefaultScope):
        holder._instance_dict.clear()


@pytest.fixture
def mmseg_scope() -> None:
    """Build by bare names, as the configs do."""
    register_all_modules(init_default_scope=False)
    init_default_scope('mmseg')


class TinyModel:
    """Config and instances of a small classifier at stride 16."""
    channels = 32
    classes = ('background', 'cat', 'dog', 'bird')

    @classmethod
    def cfg(cls,
            num_clusters=3,
            preprocessor=None,
            scales=(1.0, 0.5),
            stride=16,
            **test_cfg) -> dict:
        """Return the config; keywords go to `model.test_cfg`."""
        return dict(
            type='CAMSegmentor',
            data_preprocessor=dict(
                type='SegDataPreProcessor',
                mean=[127.5] * 3,
                std=[127.5] * 3,
                bgr_to_rgb=True,
                **(preprocessor or dict(size_divisor=1))),
            backbone=dict(
                type='ResNet',
                depth=18,
                base_channels=4,
                stem_channels=4,
                strides=(1, 2, 2, 1),
                dilations=(1, 1, 1, 1),
                out_indices=(2, 3),
                norm_cfg=dict(type='BN', requires_grad=True),
                norm_eval=True),
            decode_head=dict(
                type='CAMHead',
                in_channels=cls.channels,
                num_classes=len(cls.classes),
                num_clusters=num_clusters,
                scales=scales,
                stride=stride),
            test_cfg=test_cfg)

    @classmethod
    def build(cls, seed=0, with_bank=False, **kwargs):
        """Build a model with seeded weights, in evaluation mode.

        Classifier weights are large, so that scores differ.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = MODELS.build(cls.cfg(**kwargs))
            head = model.decode_head
            head.conv_seg.weight.data.normal_(0, 1)
            if with_bank:
                room = head.bank.class_valid.shape[1]
                for label in range(len(cls.classes) - 1):
                    head.bank.set_class(label, torch.rand(room, cls.channels),
                                        torch.rand(1, cls.channels)**3)
        return model.eval()


@pytest.fixture
def tiny(mmseg_scope) -> type[TinyModel]:
    """Factory of small classifiers: `tiny.build()`, `tiny.cfg()`."""
    return TinyModel


class VOCMini:
    """Six images in the layout of PASCAL VOC; no image shows a bird."""
    metainfo = dict(
        classes=TinyModel.classes,
        palette=[[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]])
    labels = {
        '2007_000001': ('cat', ),
        '2007_000002': ('dog', ),
        '2007_000003': ('cat', 'dog'),
        '2007_000004': (),
        'more/2008_000005': ('dog', ),
        'more/2008_000006': ('cat', ),
    }
    sizes = [(48, 40), (33, 50), (64, 48), (40, 40), (47, 35), (32, 48)]
    colors = dict(cat=(200, 60, 40), dog=(40, 90, 210))

    def __init__(self, root: Path) -> None:
        self.root = root
        rng = np.random.default_rng(0)
        for (name, objects), size in zip(self.labels.items(), self.sizes):
            self._write(rng, name, objects, *size)
        sets = root / 'ImageSets' / 'Segmentation'
        sets.mkdir(parents=True)
        sets.joinpath('train.txt').write_text('\n'.join(self.labels) + '\n')

    def _write(self, rng, name, objects, height, width) -> None:
        image = rng.integers(0, 120, (height, width, 3)).astype(np.uint8)
        mask = np.zeros((height, width), np.uint8)
        for i, cls in enumerate(objects):
            box = (slice(8 + 16 * i, 22 + 16 * i), slice(6, 30))
            image[box] = self.colors[cls]
            mask[box] = self.metainfo['classes'].index(cls)
        mask[0] = 255
        for folder, suffix, content in [('JPEGImages', '.jpg', image),
                                        ('SegmentationClass', '.png', mask)]:
            path = self.root / folder / f'{name}{suffix}'
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(content).save(path)
        path = self.root / 'Annotations' / f'{name}.xml'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('<annotation>' +
                        ''.join(f'<object><name>{cls}</name></object>'
                                for cls in objects) + '</annotation>')

    @property
    def image_ids(self) -> list[str]:
        """Ids in the order of the data set."""
        return list(self.labels)

    @property
    def indices(self) -> list[tuple[int, ...]]:
        """0-based foreground classes per image."""
        names = self.metainfo['classes'][1:]
        return [
            tuple(sorted(map(names.index, objects)))
            for objects in self.labels.values()
        ]

    def dataset(self, with_masks: bool = False, **kwargs) -> dict:
        """Return the config of an ImageLabelDataset for tests."""
        pipeline = [dict(type='LoadImageFromFile')]
        prefix = dict(img_path='JPEGImages')
        if with_masks:
            pipeline.append(dict(type='LoadAnnotations'))
            prefix['seg_map_path'] = 'SegmentationClass'
        return dict(
            type='ImageLabelDataset',
            labels=dict(
                type='VOCXMLLabels', ann_dir=str(self.root / 'Annotations')),
            dataset=dict(
                type='BaseSegDataset',
                metainfo=self.metainfo,
                data_root=str(self.root),
                data_prefix=prefix,
                img_suffix='.jpg',
                seg_map_suffix='.png',
                ann_file='ImageSets/Segmentation/train.txt',
                test_mode=True,
                pipeline=[*pipeline, dict(type='PackSegInputs')],
                **kwargs))


@pytest.fixture
def voc_mini(tmp_path, mmseg_scope) -> VOCMini:
    """Write the six images."""
    return VOCMini(tmp_path / 'VOC')
