"""The chains of VOC and COCO, on tiny data in their layout.

Networks shrink and loops end after two iterations; stages, data sets,
pipelines and hooks are those of the configs.
"""
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from mmseg.datasets import PascalVOCDataset
from mmseg.registry import RUNNERS
from PIL import Image

from mmlpcam.converters.parts import PartsSettings, make_parts_dataset
from mmlpcam.datasets import COCOObjectsDataset
from mmlpcam.datasets.coco_objects import CATEGORY_IDS
from mmlpcam.datasets.parts import CLASSES
from mmlpcam.engine import drop_training
from mmlpcam.utils import read_json

ROOT = Path(__file__).resolve().parents[2]
SEGMENTORS = ('deeplabv2', 'deeplabv3', 'deeplabv3plus', 'segformer',
              'upernet')
CHAINS = sorted(
    path for dataset in ('voc', 'coco') for name in SEGMENTORS
    for path in (ROOT / 'configs').glob(f'*/{name}_{dataset}*.py')
    if not any(part in path.stem for part in ('animals', 'mini', 'joint'))
    # EDAM needs saliency maps, and MCTformer is no network to shrink here:
    # their chains run on the generated set
    and path.parent.name not in ('edam', 'mctformer'))
JOINT = sorted((ROOT / 'configs/lpcam').glob('*_voc_joint.py'))
NUM_TRAIN = 4
IMAGES = PartsSettings(num_train=NUM_TRAIN, num_val=2, size=(64, 64))


def test_all_chains_are_found():
    names = {f'{path.parent.name}/{path.stem}' for path in CHAINS}
    assert {
        'lpcam/deeplabv3_voc', 'lpcam/deeplabv3_coco', 'irn/deeplabv2_voc',
        'irn/deeplabv2_coco', 'irn/deeplabv2_voc_cam',
        'irn/deeplabv2_coco_cam', 'irn/upernet_voc', 'irn/upernet_coco',
        'irn/deeplabv3_voc', 'irn/deeplabv3plus_voc', 'irn/segformer_voc'
    } <= names


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """`data/` with VOC 2012 and COCO 2014, of four images each."""
    root = tmp_path_factory.mktemp('layout') / 'data'
    voc = root / 'VOCdevkit' / 'VOC2012'
    voc.parent.mkdir(parents=True)
    make_parts_dataset(str(voc), IMAGES)
    present = {}
    for path in (voc / 'Annotations').iterdir():
        text = path.read_text()
        present[path.stem] = [
            label for label, name in enumerate(CLASSES)
            if f'<name>{name}<' in text
        ]
        for label in present[path.stem]:
            name = PascalVOCDataset.METAINFO['classes'][label]
            text = text.replace(f'<name>{CLASSES[label]}<', f'<name>{name}<')
        path.write_text(text)
    lists = voc / 'ImageSets' / 'Segmentation'
    shutil.copy(lists / 'train.txt', lists / 'train_aug.txt')
    for split in ('train', 'val'):
        stems = (lists / f'{split}.txt').read_text().split()
        for number, stem in enumerate(stems, 1):
            name = f'COCO_{split}2014_{number:012}'
            for source, target in [(f'JPEGImages/{stem}.jpg',
                                    f'{split}2014/{name}.jpg'),
                                   (f'SegmentationClass/{stem}.png',
                                    f'masks/{split}2014/{name}.png')]:
                target = root / 'coco' / target
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(voc / source, target)
        write_instances(root / 'coco', split, stems, present)
    return root


def write_instances(root, split, stems, present):
    path = root / 'annotations' / f'instances_{split}2014.json'
    path.parent.mkdir(exist_ok=True)
    names = COCOObjectsDataset.METAINFO['classes'][1:]
    path.write_text(
        json.dumps(
            dict(
                images=[
                    dict(
                        id=number,
                        file_name=f'COCO_{split}2014_{number:012}.jpg',
                        height=64,
                        width=64) for number in range(1,
                                                      len(stems) + 1)
                ],
                categories=[
                    dict(id=i, name=name)
                    for i, name in zip(CATEGORY_IDS, names)
                ],
                annotations=[
                    dict(
                        id=10 * number + label,
                        image_id=number,
                        category_id=CATEGORY_IDS[label - 1])
                    for number, stem in enumerate(stems, 1)
                    for label in present[stem]
                ])))


def shrink(model) -> dict:
    """Overrides that leave a sixteenth of the channels."""
    backbone = dict(init_cfg=None)
    factor = 16
    if 'ResNet' in model.backbone.type:
        backbone.update(depth=50, base_channels=4, stem_channels=4)
    elif model.backbone.type == 'SwinTransformer':
        backbone.update(
            embed_dims=6, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1])
    else:  # MixVisionTransformer has its own heads: 1, 2, 5, 8
        backbone.update(embed_dims=4, num_layers=[1, 1, 1, 1])
    small = dict(backbone=backbone)
    for name in ('decode_head', 'auxiliary_head'):
        head = model.get(name)
        if head is None:
            continue
        small[name] = {
            key: [n // factor
                  for n in head[key]] if isinstance(head[key], list
                                                    | tuple) else head[key] //
            factor
            for key in ('in_channels', 'c1_in_channels') if key in head
        }
        if 'channels' in head:
            small[name]['channels'] = 16
        if head.type == 'CAMHead':
            # large weights: maps exist although nothing is learned
            small[name]['init_cfg'] = dict(
                type='Normal', std=1., override=dict(name='conv_seg'))
    return small


LOADER = dict(num_workers=0, persistent_workers=False)


def shorten_segmentor(path) -> Config:
    """Two iterations of a tiny segmentor."""
    cfg = Config.fromfile(str(path))
    cfg.merge_from_dict(
        dict(
            model=shrink(cfg.model),
            train_cfg=dict(max_iters=2, val_interval=2),
            default_hooks=dict(checkpoint=dict(interval=2)),
            train_dataloader=dict(LOADER, batch_size=2),
            val_dataloader=LOADER))
    return cfg


def shorten(path) -> Config:
    """A chain of tiny stages."""
    cfg = shorten_segmentor(path)
    for stage in cfg.stages.values():
        own = Config.fromfile(cfg.stage_configs[stage.config])
        loader = 'test' if stage.task == 'score' else stage.task
        changes = {f'{loader}_dataloader': dict(num_workers=0)}
        if own.model.type in ('IRLabeler', 'PSALabeler'):
            changes['model'] = dict(num_workers=0)
        elif 'backbone' in own.model:
            changes['model'] = shrink(own.model)
            changes['train_dataloader'] = dict(LOADER, batch_size=2)
            changes['train_cfg'] = dict(max_epochs=1)
            # the rates are for pre-trained weights
            changes['optim_wrapper'] = dict(optimizer=dict(lr=1e-4))
            if 'custom_hooks' in own:
                hooks = own.custom_hooks
                hooks[0].num_workers = 0
                changes['custom_hooks'] = hooks
        stage.update(Config._merge_a_into_b(changes, stage.to_dict()))
    return cfg


@pytest.mark.slow
@pytest.mark.parametrize(
    'path', CHAINS, ids=lambda path: f'{path.parent.name}-{path.stem}')
def test_two_iterations_of_each_stage(data, tmp_path, monkeypatch, path):
    check_chain(data, tmp_path, monkeypatch, path)


@pytest.mark.parametrize('name', [
    'irn/deeplabv2_voc',
    pytest.param('irn/deeplabv2_coco', marks=pytest.mark.slow)
])
def test_the_pipelines_of_the_paper(data, tmp_path, monkeypatch, name):
    check_chain(data, tmp_path, monkeypatch, ROOT / f'configs/{name}.py')


@pytest.mark.parametrize('path', JOINT, ids=lambda path: path.stem)
def test_two_iterations_of_joint_training(data, tmp_path, monkeypatch, path):
    """Labels after the first, a step on them in the second."""
    monkeypatch.setattr(Config, 'pretty_text', '')
    monkeypatch.chdir(data.parent)
    cfg = shorten_segmentor(path)
    hook, = cfg.custom_hooks
    hook.update(begin=1, interval=1, num_workers=0)
    cfg.work_dir = str(tmp_path)
    runner = Runner.from_cfg(cfg)
    runner.train()
    masks = sorted((tmp_path / 'labels/masks').iterdir())
    assert len(masks) == NUM_TRAIN
    assert len({int(v) for m in masks for v in np.unique(Image.open(m))}) > 1
    losses = runner.message_hub.get_scalar('train/decode.loss_ce')._log_history
    assert [loss > 0 for loss in losses] == [False, True]


def test_maps_of_joint_training(data, tmp_path, monkeypatch):
    """The checkpoint of one config loads into the other."""
    monkeypatch.setattr(Config, 'pretty_text', '')
    monkeypatch.chdir(data.parent)
    path = ROOT / 'configs/lpcam/deeplabv3_voc_joint.py'
    cfg = shorten_segmentor(path)
    cfg.work_dir = str(tmp_path)
    cfg.custom_hooks[0].update(begin=1, num_workers=0)
    for key in ('val_dataloader', 'val_cfg', 'val_evaluator'):
        cfg.pop(key)
    Runner.from_cfg(cfg).train()
    maps = shorten_segmentor(path.with_name('deeplabv3_voc_joint_maps.py'))
    drop_training(maps)
    maps.merge_from_dict(
        dict(
            work_dir=str(tmp_path / 'maps'),
            load_from=str(tmp_path / 'iter_2.pth'),
            test_dataloader=LOADER))
    scores = Runner.from_cfg(maps).test()
    assert 'seed/lpcam/mIoU' in scores and 'seed/cam/mIoU' in scores


def check_chain(data, tmp_path, monkeypatch, path):
    # runners print it five times, which takes longer than all the rest
    monkeypatch.setattr(Config, 'pretty_text', '')
    monkeypatch.chdir(data.parent)
    cfg = shorten(path)
    cfg.work_dir = str(tmp_path / 'run')
    assert RUNNERS.build(cfg).train() is not None
    run = tmp_path / 'run'
    for stage in [*cfg.stages, 'segmentor']:
        assert read_json(run / stage / 'stage.json')['finished'], stage
    assert (run / 'segmentor' / 'iter_2.pth').exists()
    for stage in cfg.stages:
        if cfg.stages[stage].task != 'label':
            continue
        masks = sorted((run / stage / 'masks').iterdir())
        assert len(masks) == NUM_TRAIN
        values = {int(v) for m in masks for v in np.unique(Image.open(m))}
        assert values <= set(range(len(CLASSES))) | {255}
    # the same command again has nothing to do
    assert RUNNERS.build(cfg).train() is None
