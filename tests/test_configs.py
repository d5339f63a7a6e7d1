"""Every config builds in a fresh process, by its custom_imports alone."""
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = sorted((ROOT / 'configs').glob('[!_]*/*.py'))

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
        # the stages must agree on the classes; IRLabeller takes any
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


def test_reproduction_config_has_the_official_optimiser():
    """One step is plain SGD with momentum 1e-4 (spec 1.4)."""
    from mmengine.config import Config
    cfg = Config.fromfile(str(ROOT / 'configs/lpcam/cam_r50_voc.py'))
    assert cfg.optim_wrapper.optimizer == dict(
        type='SGD', lr=0.1, momentum=1e-4, weight_decay=1e-4)
    keys = cfg.optim_wrapper.paramwise_cfg.custom_keys
    assert keys == dict(decode_head=dict(lr_mult=10))
    assert cfg.param_scheduler[0].power == 0.9
    hook = cfg.custom_hooks[0]
    assert (hook.fg_thr, hook.mu_f, hook.mu_b, hook.mu_b_low) == (0.1, 0.9,
                                                                  0.9, 0.05)
    assert cfg.model.decode_head.num_clusters == 12
