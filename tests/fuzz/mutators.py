"""Damage to bytes, and to the tree of a JSON file."""
import copy
import random
from collections.abc import Callable
from typing import Any

HUGE = 10**30
JUNK = (None, float('nan'), float('inf'), HUGE, -1, 0.5, True, '', 'no such',
        [], {}, [[]], '../../../outside', '\x00', 'e\u0301', [None])


def cut(rng: random.Random, data: bytes) -> bytes:
    return data[:rng.randrange(len(data))]


def flip_bit(rng: random.Random, data: bytes) -> bytes:
    place = rng.randrange(len(data))
    return (data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) +
            data[place + 1:])


def flip_bits(rng: random.Random, data: bytes) -> bytes:
    for _ in range(rng.randint(2, 30)):
        data = flip_bit(rng, data)
    return data


def insert(rng: random.Random, data: bytes) -> bytes:
    place = rng.randint(0, len(data))
    return data[:place] + rng.randbytes(rng.randint(1, 8)) + data[place:]


def remove(rng: random.Random, data: bytes) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + data[place + rng.randint(1, 16):]


def double(rng: random.Random, data: bytes) -> bytes:
    start = rng.randrange(len(data))
    stop = rng.randint(start + 1, len(data))
    return data[:stop] + data[start:]


def zero(rng: random.Random, data: bytes) -> bytes:
    start = rng.randrange(len(data))
    stop = min(start + rng.randint(1, 512), len(data))
    return data[:start] + bytes(stop - start) + data[stop:]


def empty(rng: random.Random, data: bytes) -> bytes:
    return b''


def text(rng: random.Random, data: bytes) -> bytes:
    return b'<html><body>404 Not Found</body></html>\n'


def null_tail(rng: random.Random, data: bytes) -> bytes:
    """A file whose end was never written, as after a power cut."""
    place = rng.randrange(len(data))
    return data[:place] + bytes(len(data) - place)


BYTE_MUTATORS: tuple[Callable[[random.Random, bytes], bytes],
                     ...] = (cut, cut, flip_bit, flip_bit, flip_bits, insert,
                             remove, double, zero, empty, text, null_tail)


def damage(rng: random.Random, data: bytes) -> tuple[bytes, str]:
    """Apply one of the above.

    Returns:
        tuple[bytes, str]: Other bytes than those given, and the damage.
    """
    while True:
        mutate = rng.choice(BYTE_MUTATORS)
        result = mutate(rng, data)
        if result != data:
            return result, f'{mutate.__name__} ({len(data)} bytes)'


def _places(node: Any, path: tuple = ()) -> list[tuple]:
    """All paths into a tree of dicts and lists, the root left out."""
    items = (
        node.items() if isinstance(node, dict) else
        enumerate(node) if isinstance(node, list) else ())
    found = []
    for key, value in items:
        found += [(*path, key), *_places(value, (*path, key))]
    return found


def damage_tree(rng: random.Random, tree: Any) -> tuple[Any, str]:
    """Change one place of a tree: another value, none, twice, or deeper.

    Returns:
        tuple[Any, str]: The changed copy, and what was done.
    """
    tree = copy.deepcopy(tree)
    if rng.random() < .06:
        junk = rng.choice(JUNK)
        return junk, f'root={junk!r}'
    path = rng.choice(_places(tree))
    parent = tree
    for key in path[:-1]:
        parent = parent[key]
    key = path[-1]
    where = '/'.join(map(str, path))
    what = rng.choice(('junk', 'junk', 'junk', 'drop', 'twice', 'rename',
                       'wrap', 'deep', 'text'))
    if what == 'junk':
        parent[key] = rng.choice(JUNK)
        return tree, f'{where}={parent[key]!r}'
    if what == 'drop':
        del parent[key]
    elif what == 'twice' and isinstance(parent, list):
        parent.insert(rng.randint(0, len(parent)), copy.deepcopy(parent[key]))
    elif what == 'rename' and isinstance(parent, dict):
        parent[f'{key}x'] = parent.pop(key)
    elif what == 'deep':
        for _ in range(200):
            parent[key] = [parent[key]]
    elif what == 'text':
        parent[key] = str(parent[key])
    else:
        what = 'wrap'
        parent[key] = [parent[key]]
    return tree, f'{what} {where}'
