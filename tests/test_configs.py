"""Every config builds in a fresh process, by its custom_imports alone."""
import ast
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from mmlpcam.engine import StagedRunner

ROOT = Path(__file__).resolve().parents[1]
EFFNET = os.environ.setdefault(
    'EFFICIENTNET_LITE2',
    str(ROOT.parent / 'shared/weights/efficientnet_lite2_timm_fp16.pth'))
# Words in the names of configs that need what may not be there.
LEFT_OUT = [
    word for word, there in [
        ('effnet', find_spec('timm') and Path(EFFNET).is_file()),
        ('dinov2', find_spec('transformers')),
    ] if not there
]
CONFIGS = sorted(
    path for path in (ROOT / 'configs').glob('[!_]*/*.py')
    if not any(word in path.name for word in LEFT_OUT))
# Files behind one config; those of its stages count for its chain.
MOST_FILES = 17
MOST_FILES_OF_A_CHAIN = 34

# Importing MMSegmentation takes seconds, so one process does it for all; each
# config then has a child of its own, in which nobody has imported mmlpcam.
BUILD = """
import os, sys, traceback
import mmseg.models, mmseg.datasets
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import HOOKS, LOOPS, METRICS, MODELS, RUNNERS, TRANSFORMS

def build(cfg):
    model = MODELS.build(cfg.model)
    for hook in cfg.get('custom_hooks', []):
        HOOKS.build(hook)
    for split in ('val', 'test'):
        evaluator = cfg.get(f'{split}_evaluator')
        if evaluator:
            METRICS.build(evaluator)
        if cfg.get(f'{split}_cfg'):
            assert LOOPS.get(cfg[f'{split}_cfg'].type)
    for key, value in cfg.items():
        if key.endswith('_pipeline'):
            for transform in value:
                TRANSFORMS.build(transform)
    if 'tta_model' in cfg:
        MODELS.build(dict(**cfg.tta_model, module=model))

def num_classes(cfg):
    return cfg.model.get('decode_head', {}).get('num_classes')

def check(path):
    assert 'mmlpcam' not in sys.modules
    cfg = Config.fromfile(path)
    assert cfg.custom_imports['allow_failed_imports'] is False
    init_default_scope(cfg.default_scope)
    build(cfg)
    if cfg.get('runner_type') == 'StagedRunner':
        cfg.work_dir = 'work'
        # the configs of the stages are built as themselves
        stages = RUNNERS.build(cfg).stages
        assert len(stages) == len(cfg.stages) + 1
        # the stages must agree on the classes; IRLabeler takes any
        assert len({num_classes(stage.cfg) for stage in stages} - {None}) == 1

failed = 0
for path in sys.argv[1:]:
    child = os.fork()
    if not child:
        try:
            check(path)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        print('failed:', path, file=sys.stderr)
        failed += 1
sys.exit(bool(failed))
"""


def test_each_config_builds_in_a_fresh_process(tmp_path):
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', BUILD, *map(str, CONFIGS)],
        cwd=tmp_path,
        env={
            **os.environ, 'OMP_NUM_THREADS': '1'
        },
        capture_output=True,
        text=True)
    assert done.returncode == 0, done.stderr[-4000:]


def test_there_are_configs():
    names = {path.stem for path in CONFIGS}
    assert {'cam_r50_voc', 'deeplabv3_voc', 'deeplabv2_coco_cam'} <= names


@pytest.mark.parametrize(
    'folder',
    sorted({path.parent
            for path in CONFIGS}),
    ids=lambda folder: folder.name)
def test_metafiles_list_the_chains(folder):
    """Whole chains, each once; their figures are on the page of results."""
    content = yaml.safe_load((folder / 'metafile.yaml').read_text())
    collections = {entry['Name'] for entry in content['Collections']}
    chains = {
        path.relative_to(ROOT).as_posix()
        for path in folder.glob('*.py')
        if path.name.startswith(('deeplab', 'segformer', 'upernet'))
    }
    listed = [entry['Config'] for entry in content['Models']]
    assert sorted(listed) == sorted(chains)
    results = (ROOT / 'docs/results.md').read_text()
    for entry in content['Models']:
        assert entry['In Collection'] in collections
        for result in entry.get('Results', []):
            assert f"{result['Metrics']['mIoU']:.2f}" in results


# Tables 2.6 and 7 of the specification, by chain: seed threshold, confident
# labels, mask threshold, type of the maps.
THRESHOLDS = {
    'irn/deeplabv2_voc': (0.30, 0.45, 0.25, 0.35, 'lpcam'),
    'irn/deeplabv2_coco': (0.30, 0.45, 0.25, 0.35, 'lpcam'),
    'irn/deeplabv2_voc_cam': (0.15, 0.30, 0.05, 0.25, 'cam'),
    'irn/deeplabv2_coco_cam': (0.15, 0.30, 0.05, 0.25, 'cam'),
    'irn/upernet_voc': (0.30, 0.45, 0.25, 0.35, 'lpcam'),
    'irn/upernet_coco_cam': (0.15, 0.30, 0.05, 0.25, 'cam'),
}


@pytest.mark.parametrize('name', THRESHOLDS)
def test_chains_have_the_thresholds_of_the_paper(name, tmp_path):
    cfg = Config.fromfile(str(ROOT / f'configs/{name}.py'))
    cfg.work_dir = str(tmp_path)
    stages = {s.name: s.cfg.model for s in StagedRunner(cfg).stages}
    maps, labels, walk = (
        stages[stage].test_cfg for stage in ('maps', 'ir_labels', 'labels'))
    head = stages['maps'].decode_head
    assert (maps.bg_thr, labels.fg_thr, labels.bg_thr, walk.bg_thr,
            maps.map_type) == THRESHOLDS[name]
    assert head.scales == (1.0, 0.5, 1.5, 2.0) and head.get('flip', True)
    assert (walk.radius, walk.beta, walk.num_steps) == (5, 10, 256)
    assert labels.crf == dict(
        gaussian_sxy=3,
        gaussian_compat=3,
        bilateral_sxy=50,
        bilateral_srgb=5,
        bilateral_compat=10,
        num_iters=10,
        backend='auto')
    assert stages['irn'].decode_head.radius == 10


@pytest.mark.parametrize('name, clusters, builder', [
    ('voc', 12, dict(fg_thr=0.1, mu_f=0.9, mu_b=0.9, mu_b_low=0.05)),
    ('coco', 20,
     dict(
         fg_thr=0.25,
         mu_f=0.9,
         mu_b=0.5,
         mu_b_low=0.,
         images_per_class=100,
         seed=666)),
])
def test_clustering_of_the_paper(name, clusters, builder):
    cfg = Config.fromfile(str(ROOT / f'configs/lpcam/cam_r50_{name}.py'))
    assert cfg.model.decode_head.num_clusters == clusters
    assert {key: cfg.custom_hooks[0][key] for key in builder} == builder


@pytest.mark.parametrize('name, epochs, batch_size, heads', [
    ('lpcam/cam_r50_voc', 5, 16, dict(decode_head=dict(lr_mult=10))),
    ('lpcam/cam_r50_coco', 5, 16, dict(decode_head=dict(lr_mult=10))),
    ('irn/irn_r50_voc', 3, 32, None),
    ('irn/irn_r50_coco', 3, 32, None),
])
def test_training_of_the_official_code(name, epochs, batch_size, heads):
    """One step is plain SGD with momentum 1e-4 (spec 1.4)."""
    cfg = Config.fromfile(str(ROOT / f'configs/{name}.py'))
    assert cfg.optim_wrapper.optimizer == dict(
        type='SGD', lr=0.1, momentum=1e-4, weight_decay=1e-4)
    assert cfg.optim_wrapper.paramwise_cfg.get('custom_keys') == heads
    assert cfg.train_cfg.max_epochs == epochs
    assert cfg.train_dataloader.batch_size == batch_size
    assert cfg.train_dataloader.drop_last
    scheduler, = cfg.param_scheduler
    assert scheduler.power == 0.9


@pytest.mark.parametrize('name, rate, batch_size, steps', [
    ('deeplabv2_voc', 2.5e-4, 5, 20000),
    ('deeplabv2_coco', 2e-4, 10, 100000),
])
def test_deeplabv2_of_the_paper(name, rate, batch_size, steps):
    cfg = Config.fromfile(str(ROOT / f'configs/irn/{name}.py'))
    assert cfg.optim_wrapper.optimizer == dict(
        type='SGD', lr=rate, momentum=0.9, weight_decay=5e-4)
    assert cfg.train_dataloader.batch_size == batch_size
    assert cfg.crop_size == (321, 321)
    num_batches = steps * cfg.optim_wrapper.accumulative_counts
    assert cfg.train_cfg.max_iters == num_batches


class Line(BaseModel):
    """A weight, and the rates that it has been trained at."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.rates = []

    def forward(self, inputs, **kwargs):
        return dict(loss=self.weight)

    def train_step(self, data, optim_wrapper):
        self.rates += optim_wrapper.get_lr()['lr']
        return super().train_step(dict(inputs=data), optim_wrapper)


@pytest.mark.parametrize('name, unit', [
    ('lpcam/cam_r50_voc', 'epochs'),
    ('lpcam/cam_r18_parts', 'epochs'),
    ('lpcam/deeplabv3_voc', 'iters'),
    ('irn/deeplabv2_coco', 'iters'),
    ('irn/upernet_voc', 'iters'),
])
@pytest.mark.parametrize('longest', [7, 9])
def test_the_rate_ends_with_the_training(name, unit, longest, tmp_path):
    """Schedulers without `end` get that of the loop, whatever its length."""
    cfg = Config.fromfile(str(ROOT / f'configs/{name}.py'))
    decay = cfg.param_scheduler[-1]
    assert decay.type == 'PolyLR'
    if decay.get('begin'):  # a trial may be shorter than the warm-up
        assert decay.pop('end') == cfg.train_cfg.max_iters
        decay.begin = 2
    else:
        assert 'end' not in decay
    rates = []
    for end in ({}, dict(end=longest)):
        loader = dict(
            batch_size=1,
            dataset=list(range(3)),
            sampler=dict(type='DefaultSampler', shuffle=False))
        runner = Runner(
            Line(),
            str(tmp_path),
            train_dataloader=loader,
            train_cfg={
                'by_epoch': unit == 'epochs',
                f'max_{unit}': longest
            },
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=1.)),
            param_scheduler=[dict(decay, **end)],
            default_scope='mmengine',
            experiment_name=f'{tmp_path.name}{len(end)}')
        runner.train()
        rates.append(runner.model.rates)
    assert rates[0] == rates[1]
    assert rates[0][-1] == pytest.approx(decay.get('eta_min', 0))
    assert rates[0][-1] < rates[0][-2]


def bases(path: Path) -> set[Path]:
    """The files that a config is made of, itself among them."""
    found = {path}
    for node in ast.parse(path.read_text()).body:
        if (isinstance(node, ast.Assign)
                and ast.unparse(node.targets[0]) == '_base_'):
            names = ast.literal_eval(node.value)
            for name in [names] if isinstance(names, str) else names:
                found |= bases((path.parent / name).resolve())
    return found


def test_few_files_stand_behind_a_leaf_config(capsys):
    numbers = {}
    for path in CONFIGS:
        files = bases(path)
        stages = Config.fromfile(str(path)).get('stage_configs', {})
        chain = files.union(*(bases(Path(stage).resolve())
                              for stage in stages.values()))
        numbers[f'{path.parent.name}/{path.name}'] = len(files), len(chain)
    with capsys.disabled():
        print('\nfiles behind each config: its own, and with its stages')
        for name, (own, chain) in sorted(numbers.items()):
            print(f'{own:5}{chain:5}  {name}')
    assert max(own for own, _ in numbers.values()) <= MOST_FILES
    assert max(chain for _, chain in numbers.values()) <= MOST_FILES_OF_A_CHAIN


def test_documents_name_configs_and_tools_that_exist():
    documents = [ROOT / 'README.md', ROOT / 'docs' / 'reproduce.md']
    documents += (ROOT / 'tools').rglob('*.py')
    for document in documents:
        for name in re.findall(r'(?:configs|tools)/[\w./{},*-]+\.(?:py|sh)',
                               document.read_text()):
            braces = re.search(r'\{([^}]*)\}', name)
            for choice in braces[1].split(',') if braces else ['']:
                path = name.replace(braces[0], choice) if braces else name
                assert list(ROOT.glob(path)), f'{document.name}: {path}'
