"""Image labels as arrays, and as folders of classes."""
import io
import os
import pickle
import random
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np

from mmlpcam.datasets import FolderLabels, NPYLabels
from .core import Case, Room, fuzzed
from .labels import CLASSES, DAMAGED, IDS, IMAGES, TRUTH, names_of
from .mutators import damage

# --- NPY ---------------------------------------------------------------------


class Evil:
    """Makes a file once it is unpickled, in one of several ways."""

    def __init__(self, canary: Path, way: int) -> None:
        self.canary, self.way = str(canary), way

    def __reduce__(self) -> tuple:
        code = f"open({self.canary!r}, 'w').close()"
        return ((os.mkdir, (self.canary, )), (eval, (code, )),
                (exec, (code, )), (os.system,
                                   (f'touch {self.canary}', )))[self.way % 4]


def is_labeling(result: Any) -> bool:
    """Whether it is the form of labels at all."""
    return (isinstance(result, dict) and result.keys() == TRUTH.keys() and all(
        isinstance(value, tuple) and all(
            isinstance(i, int) and 0 <= i < len(CLASSES) for i in value)
        for value in result.values()))


def _save(content: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, content, allow_pickle=True)
    return buffer.getvalue()


def _vectors(rng: random.Random) -> dict[str, np.ndarray]:
    kind = rng.choice(('float32', 'float64', 'uint8', 'int64', 'bool'))
    return {
        image_id: np.isin(range(len(CLASSES)), labels).astype(kind)
        for image_id, labels in TRUTH.items()
    }


@fuzzed('npy', 220, 14)
def make_npy(room: Room) -> Case:
    rng = room.rng
    vectors = _vectors(rng)
    kind = rng.choice(('plain', 'bytes', 'bytes', 'bytes', 'evil', 'evil',
                       'value', 'value', 'value', 'array', 'other'))
    victim, story = rng.choice(IDS), [kind]
    canaries, result = [], []
    if kind == 'plain':
        data, result = _save(vectors), [TRUTH]
    elif kind == 'bytes':
        # a pickle has no checksum: any labels at all may be what it says
        data, what = damage(rng, _save(vectors))
        story.append(what)
        result = [is_labeling]
        if what.split()[0] in ('cut', 'empty', 'text'):
            result = []
    elif kind == 'evil':
        evil = Evil(room.canary, rng.randrange(4))
        data = _save({**vectors, 'more': evil})
        if rng.random() < .3:
            data = pickle.dumps(evil)
        canaries = [room.canary]
        result = []
    elif kind == 'array':
        # one row an image: only numbers give an order, and some have none
        data = _save(np.stack(list(vectors.values())))
    elif kind == 'other':
        content, what = rng.choice(
            (([1, 2], 'list'), (5, 'number'), ('cat', 'text'),
             ({}, 'empty dict'), (np.zeros((2, 3, 4)), '3-D'), (np.zeros(
                 (0, 4)), 'no row')))
        data, story = _save(content), [kind, what]
        if rng.random() < .3:
            data = data.replace(b"'shape': ()",
                                b"'shape':(9" + b'9' * 14 + b',)')
    else:
        vector = vectors[victim].astype(float)
        what, content = rng.choice((
            ('nan', vector * np.nan),
            ('short', vector[:-1]),
            ('long', np.r_[vector, 0]),
            ('2-D', vector[None]),
            ('text', np.array(names_of(TRUTH[victim]) or ['cat'])),
            ('none', None),
            ('list', list(names_of(TRUTH[victim]))),
            ('complex', vector + 1j),
            ('fractions', vector * .25),
            ('missing', DAMAGED),
        ))
        story += [victim, what]
        if content is DAMAGED:
            del vectors[victim]
        else:
            vectors[victim] = content
        if what == 'fractions':
            result = [TRUTH]
        data = _save(vectors)
    path = room.write('cls_labels.npy', data)
    return Case(lambda: NPYLabels(str(path)).load(IMAGES, CLASSES),
                ['cls_labels.npy'], result, kind == 'plain', story, canaries)


# --- folders -----------------------------------------------------------------


@fuzzed('folders', 40, 4)
def make_folders(room: Room) -> Case:
    rng = room.rng
    ids = [
        f'{name}/photo{i}' for i in range(6) for name in [rng.choice(CLASSES)]
    ]
    truth = {i: (CLASSES.index(i.split('/')[0]), ) for i in ids}
    what = rng.choice(('plain', 'unknown', 'no folder', 'up', 'NFD', 'deep'))
    result, names = [], ['x']
    if what == 'plain':
        result = [truth]
    elif what == 'deep':
        ids = [f'{i}/more' for i in ids]
        result = [{i: truth[i.removesuffix('/more')] for i in ids}]
    elif what == 'NFD':
        old, ids = ids, [unicodedata.normalize('NFD', i) for i in ids]
        result = [{new: truth[i] for new, i in zip(ids, old)}]
        names = ids
    else:
        bad = dict(unknown='wolf/photo9', up='../photo9')
        ids[rng.randrange(6)] = names[0] = bad.get(what, 'photo9')
    return Case(lambda: FolderLabels().load(dict.fromkeys(ids, ''), CLASSES),
                names, result, what == 'plain', [what])
