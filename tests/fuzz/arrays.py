"""Maps and banks in .npz files."""
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmlpcam.models import PrototypeBank
from mmlpcam.structures import ActivationMaps
from .core import Case, Room, fuzzed
from .labels import DAMAGED
from .mutators import damage
from .vectors import Evil

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
        joint=maps.joint,
        source=maps.source)


def _maps_say(arrays: dict[str, np.ndarray]) -> dict:
    scales = [key for key in arrays if key.startswith('scale_')]
    return dict(
        labels=tuple(arrays['labels'].tolist()),
        scales=[arrays[key] for key in sorted(scales)],
        size=tuple(arrays['size'].tolist()),
        stride=int(arrays['stride']),
        eps=float(arrays['eps']),
        joint=bool(arrays['joint']),
        source=str(arrays['source']))


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
        source=np.str_('cam'),
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
