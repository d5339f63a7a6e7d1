"""Maps and banks in .npz files, and checkpoints."""
import io
import random
import runpy
import sys
import zipfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmseg.registry import MODELS
from PIL import Image

from mmlpcam.models import PrototypeBank
from mmlpcam.structures import ActivationMaps
from .core import Case, Room, fuzzed
from .labels import DAMAGED, Evil
from .mutators import damage

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


def _npz(arrays: dict[str, Any], allow_pickle: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=allow_pickle, **arrays)
    return buffer.getvalue()


def _arrays_of(data: bytes) -> Any:
    """All arrays of a .npz file whose checksums hold, or DAMAGED."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if archive.testzip() is not None:
                return DAMAGED
        with np.load(io.BytesIO(data)) as content:
            return {key: content[key] for key in content.files}
    except Exception:  # any is a verdict here
        return DAMAGED


# --- maps --------------------------------------------------------------------


def _read_maps(path: Path) -> dict:
    maps = ActivationMaps.load(path)
    return dict(
        labels=tuple(maps.labels),
        scales=[scale.numpy() for scale in maps.scales],
        size=tuple(maps.size),
        stride=maps.stride,
        eps=maps.eps,
        joint=maps.joint)


def _maps_say(arrays: dict[str, np.ndarray]) -> dict:
    scales = [key for key in arrays if key.startswith('scale_')]
    return dict(
        labels=tuple(arrays['labels'].tolist()),
        scales=[arrays[key] for key in sorted(scales)],
        size=tuple(arrays['size'].tolist()),
        stride=int(arrays['stride']),
        eps=float(arrays['eps']),
        joint=bool(arrays['joint']))


@fuzzed('maps', 240, 12)
def make_maps(room: Room) -> Case:
    rng = room.rng
    draw = np.random.default_rng(rng.randrange(2**32))
    arrays: dict[str, Any] = dict(
        labels=np.array([0, 2, 5]),
        size=np.array([32, 48]),
        stride=np.int64(16),
        eps=np.float64(1e-5),
        joint=np.bool_(False),
        scale_0=draw.random((3, 2, 3), np.float32),
        scale_1=draw.random((3, 1, 2), np.float32))
    truth = _maps_say(arrays)
    kind = rng.choice(
        ('plain', 'bytes', 'bytes', 'values', 'values', 'values', 'evil'))
    story, result = [kind], [truth]
    if kind == 'values':
        key, what, value = rng.choice(_wrong_maps(arrays))
        story += [key, what]
        if value is None:
            del arrays[key]
        else:
            arrays[key] = value
        # what is still well-formed after all
        result = [_maps_say(arrays)] if what.startswith('other') else []
    elif kind == 'evil':
        arrays['labels'] = np.array([Evil(room.canary, rng.randrange(4))],
                                    dtype=object)
        result = []
    data = _npz(arrays, allow_pickle=kind == 'evil')
    if kind == 'bytes':
        data, what = damage(rng, data)
        story.append(what)
    path = room.write('maps/photo1.npz', data)
    return Case(lambda: _read_maps(path), ['photo1.npz'], result,
                kind == 'plain', story, [room.canary])


def _wrong_maps(arrays: dict[str, Any]) -> list[tuple[str, str, Any]]:
    scale, labels = arrays['scale_0'], arrays['labels']
    spoiled = {name: scale.copy() for name in ('nan', 'inf', 'negative')}
    spoiled['nan'][1, 0, 0] = np.nan
    spoiled['inf'][0, 1, 1] = np.inf
    spoiled['negative'][0, 0, 0] = -1
    found = [('scale_0', name, value) for name, value in spoiled.items()]
    found += [(key, 'absent', None) for key in arrays
              if key not in ('scale_0', 'scale_1')]
    found += [
        ('scale_0', '2-D', scale[0]),
        ('scale_0', 'empty', scale[:, :0]),
        ('scale_0', 'fewer', scale[:2]),
        ('scale_0', 'more', np.concatenate([scale, scale])),
        ('scale_0', 'text', np.full(scale.shape, 'x')),
        ('scale_0', 'complex', scale + 1j),
        ('scale_x', 'unknown', scale),
        ('labels', 'negative', labels - 3),
        ('labels', 'scalar', np.int64(1)),
        ('labels', 'fewer', labels[:2]),
        ('labels', 'fractions', labels + .5),
        ('labels', 'twice', np.array([2, 2, 5])),
        ('labels', 'text', np.array(['a', 'b', 'c'])),
        ('labels', 'other', np.array([1, 2, 3])),
        ('labels', '2-D', labels[None]),
        ('size', 'scalar', np.int64(64)),
        ('size', 'three', np.array([32, 48, 3])),
        ('size', 'zero', np.array([0, 48])),
        ('size', 'negative', np.array([-32, 48])),
        ('size', 'other', np.array([33, 48])),
        ('stride', 'zero', np.int64(0)),
        ('stride', 'negative', np.int64(-16)),
        ('stride', 'array', np.array([16, 16])),
        ('stride', 'fraction', np.float64(1.5)),
        ('eps', 'nan', np.float64('nan')),
        ('eps', 'negative', np.float64(-1)),
        ('eps', 'other', np.float64(1e-3)),
        ('joint', 'text', np.array('maybe')),
    ]
    return found


# --- banks -------------------------------------------------------------------


def _bank(seed: int) -> PrototypeBank:
    bank = PrototypeBank(3, 4, 8)
    draw = torch.Generator().manual_seed(seed)
    for label in range(3):
        bank.set_class(label, torch.rand(2 + label, 8, generator=draw),
                       torch.rand(1, 8, generator=draw))
    return bank


def _contents(bank: PrototypeBank) -> dict[str, np.ndarray]:
    return {key: value.numpy() for key, value in bank.state_dict().items()}


@fuzzed('banks', 160, 8)
def make_bank(room: Room) -> Case:
    rng = room.rng
    arrays = _contents(_bank(rng.randrange(1000)))
    kind = rng.choice(('plain', 'bytes', 'bytes', 'values', 'values', 'evil'))
    story, result = [kind], [dict(arrays)]
    saved: dict[str, Any] = dict(arrays)
    if kind == 'values':
        key = rng.choice([key for key in arrays if 'valid' not in key])
        value = arrays[key].copy()
        what = rng.choice(('nan', 'inf', 'absent', 'cut', 'wider', 'text',
                           'flat', 'complex'))
        value[0] = np.nan if what == 'nan' else np.inf
        saved[key] = dict(
            nan=value,
            inf=value,
            cut=value[:-1],
            wider=np.concatenate([arrays[key]] * 2, -1),
            text=np.full(value.shape, 'x'),
            flat=arrays[key].ravel(),
            complex=arrays[key] + 1j,
            absent=None)[what]
        if what == 'absent':
            del saved[key]
        story += [key, what]
        result = []
    elif kind == 'evil':
        saved['class_valid'] = np.array([Evil(room.canary, rng.randrange(4))],
                                        dtype=object)
        result = []
    data = _npz(saved, allow_pickle=kind == 'evil')
    if kind == 'bytes':
        data, what = damage(rng, data)
        story.append(what)
    path = room.write('bank.npz', data)

    def read():
        bank = PrototypeBank(3, 4, 8)
        bank.load(path)
        return _contents(bank)

    return Case(read, ['bank.npz'], result, kind == 'plain', story,
                [room.canary])


# --- checkpoints -------------------------------------------------------------

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
