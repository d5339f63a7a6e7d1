"""Checkpoints, read as `tools/predict.py` reads them."""
import io
import random
import runpy
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmseg.registry import MODELS
from PIL import Image

from .core import Case, Room, fuzzed
from .mutators import damage
from .vectors import Evil

TOOLS = Path(__file__).resolve().parents[2] / 'tools'

CONFIG = """\
default_scope = 'mmseg'
custom_imports = dict(imports=['mmlpcam'])
model = {model!r}
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]
"""
CLASSES = ('background', 'cat', 'dog', 'bird')
PALETTE = [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]


def _model_cfg(num_classes: int = 4, width: int = 4) -> dict:
    return dict(
        type='EncoderDecoder',
        data_preprocessor=dict(
            type='SegDataPreProcessor',
            mean=[127.5] * 3,
            std=[50.] * 3,
            bgr_to_rgb=True,
            size_divisor=1),
        backbone=dict(
            type='ResNet',
            depth=18,
            base_channels=width,
            stem_channels=width,
            strides=(1, 1, 1, 1),
            dilations=(1, 1, 1, 1),
            norm_cfg=dict(type='BN'),
            out_indices=(3, )),
        decode_head=dict(
            type='FCNHead',
            in_channels=8 * width,
            in_index=0,
            channels=4,
            num_classes=num_classes,
            num_convs=1,
            norm_cfg=dict(type='BN')),
        test_cfg=dict(mode='whole'))


def _weights(seed: int = 0, **kwargs: int) -> dict[str, torch.Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MODELS.build(_model_cfg(**kwargs))
        model.decode_head.conv_seg.weight.data.normal_(0, 1)
    return model.state_dict()


def _checkpoint(weights: Any, **more: Any) -> dict:
    return dict(
        meta=dict(
            epoch=1,
            iter=2,
            mmengine_version='0.10.7',
            dataset_meta=dict(classes=CLASSES, palette=PALETTE)),
        state_dict=weights,
        message_hub={},
        **more)


def _saved(content: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def _prepared(shared: dict, room: Room) -> dict:
    """What all checkpoints share: weights, photo, config and the truth."""
    if 'checkpoint' not in shared:
        photo = np.random.default_rng(0).integers(0, 256, (24, 32, 3))
        buffer = io.BytesIO()
        Image.fromarray(photo.astype(np.uint8)).save(buffer, 'png')
        shared['photo'] = buffer.getvalue()
        for seed in range(20):
            shared['weights'] = _weights(seed)
            shared['checkpoint'] = _saved(_checkpoint(shared['weights']))
            path = room.write(f'truth/{seed}.pth', shared['checkpoint'])
            shared['mask'] = _predict(room, shared, path)
            if len(np.unique(shared['mask'])) > 2:
                return shared
        raise RuntimeError('no weights give a mask of three classes')
    return shared


def _predict(room: Room, shared: dict, path: Path) -> np.ndarray:
    """Predict as a user does, and read the mask."""
    config = room.write('config.py', CONFIG.format(model=_model_cfg()))
    room.write('photos/photo1.png', shared['photo'])
    out = room.folder / 'out' / path.stem
    output = io.StringIO()
    argv = sys.argv
    sys.argv = [
        'predict.py',
        str(config),
        str(path),
        str(room.folder / 'photos'),
        str(out), '--device', 'cpu'
    ]
    try:
        with redirect_stdout(output), redirect_stderr(output):
            status = runpy.run_path(str(TOOLS / 'predict.py'))['main']()
    finally:
        sys.argv = argv
    if status:
        raise ValueError(output.getvalue())
    return np.array(Image.open(out / 'masks/photo1.png'))


def _wrong_checkpoint(rng: random.Random, weights: dict,
                      canary: Path) -> tuple[Any, str, bool]:
    """What a file holds instead, and whether it is as good."""
    keys = [key for key, value in weights.items() if value.ndim == 4]
    half = dict(list(weights.items())[:len(weights) // 2])
    spoiled = {key: value.clone() for key, value in weights.items()}
    place = rng.choice(keys)
    evil = Evil(canary, rng.randrange(4))
    return rng.choice((
        ({
            **_checkpoint(weights), 'more': evil
        }, 'evil', False),
        (evil, 'evil alone', False),
        ({
            **weights, 'evil': evil
        }, 'evil among weights', False),
        (_checkpoint({
            **weights, place: evil
        }), 'evil weight', False),
        (_checkpoint({}), 'no weights', False),
        ({}, 'empty dict', False),
        ([1, 2], 'list', False),
        (None, 'none', False),
        ('text', 'text', False),
        (weights['decode_head.conv_seg.weight'], 'tensor', False),
        (_checkpoint(half), 'half', False),
        (_checkpoint({
            key: value
            for key, value in weights.items() if key.startswith('backbone')
        }), 'backbone', False),
        (_checkpoint({
            key: value
            for key, value in weights.items() if key != place
        }), f'without {place}', False),
        (_checkpoint({
            f'other.{k}': v
            for k, v in weights.items()
        }), 'renamed', False),
        (_checkpoint({
            f'module.{k}': v
            for k, v in weights.items()
        }), 'of a wrapped model', True),
        (_checkpoint(_weights(num_classes=6)), 'more classes', False),
        (_checkpoint(_weights(num_classes=2)), 'fewer classes', False),
        (_checkpoint(_weights(width=8)), 'wider', False),
        (_checkpoint({
            **spoiled, place: spoiled[place] * float('nan')
        }), f'nan in {place}', False),
        (_checkpoint({
            **spoiled, place: spoiled[place] + float('inf')
        }), f'inf in {place}', False),
        (_checkpoint({
            **spoiled, place: spoiled[place].flatten()
        }), f'flat {place}', False),
        (_checkpoint({
            **spoiled, place: 'text'
        }), f'text {place}', False),
        (_checkpoint(list(weights.values())), 'list of weights', False),
        (weights, 'weights alone', True),
        (_checkpoint(weights,
                     optimizer=dict(state={},
                                    param_groups=[])), 'with optimizer', True),
    ))


@fuzzed('checkpoints', 240, 14)
def make_checkpoint(room: Room) -> Case:
    rng = room.rng
    shared = _prepared(room.shared, room)
    kind = rng.choice(('plain', 'bytes', 'bytes', 'bytes', 'content',
                       'content', 'content', 'content', 'content'))
    data, story, result = shared['checkpoint'], [kind], [shared['mask']]
    if kind == 'bytes':
        data, what = damage(rng, data)
        story.append(what)
    elif kind == 'content':
        content, what, is_good = _wrong_checkpoint(rng, shared['weights'],
                                                   room.canary)
        old = rng.random() < .2
        data = _saved(content, _use_new_zipfile_serialization=not old)
        story += [what, 'old format' if old else '']
        result = [shared['mask']] if is_good else []
    path = room.write('model.pth', data)
    return Case(lambda: _predict(room, shared, path), ['model.pth'], result,
                kind == 'plain', story, [room.canary])
