"""Image labels as JSON, and what all label sources share."""
import codecs
import json
import os
import random
import unicodedata
from typing import Any

from mmlpcam.datasets import JSONLabels
from .core import Case, Room, fuzzed
from .mutators import damage, damage_tree

CLASSES = ('cat', 'dog', 'potted plant', '\xe9pagneul')
TRUTH = {
    'photo1': (0, ),
    'photo2': (0, 1),
    'sub/2008_000005': (2, ),
    'sub/photo.v2': (),
    'na\xefve': (1, 3),
    'IMG_0007': (3, ),
}
IDS = list(TRUTH)
IMAGES = {image_id: f'photos/{image_id}.jpg' for image_id in IDS}
DAMAGED = object()


def names_of(labels: tuple[int, ...]) -> list[str]:
    return [CLASSES[label] for label in labels]


def id_of(name: Any, any_suffix: bool = True) -> str | None:
    """The image that a name means, in any normal form, or None.

    A suffix that no photo has may be one all the same, or the name that of a
    stranger: both are right.
    """
    if not isinstance(name, str):
        return None
    name = unicodedata.normalize('NFC', name.strip().replace('\\', '/'))
    name = name.removeprefix('./')
    if name in TRUTH:
        return name
    stem, suffix = os.path.splitext(name)
    is_suffix = (
        suffix[1:].isalnum() and len(suffix) <= 6
        if any_suffix else suffix.lower() in ('.jpg', '.jpeg', '.png'))
    return stem if is_suffix and stem in TRUTH else None


def label_of(tag: Any) -> int | None:
    """The class that a tag means, or None."""
    if not isinstance(tag, str):
        return None
    tag = unicodedata.normalize('NFC', tag.strip())
    return CLASSES.index(tag) if tag in CLASSES else None


def labels_of(tags: Any) -> tuple[int, ...] | None:
    found = [label_of(tag) for tag in tags]
    return None if None in found else tuple(sorted(set(found)))


def allowed(meaning: Any) -> list:
    """What may be read from a file that says this."""
    return [] if meaning is DAMAGED else [meaning]


# --- JSON --------------------------------------------------------------------


def _no_twins(pairs: list) -> dict:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError
    return dict(pairs)


def parse_json(data: bytes, hook: Any = _no_twins) -> Any:
    for encoding in ('utf-8-sig', 'utf-16'):
        if encoding == 'utf-16' and data[:2] not in (codecs.BOM_UTF16_LE,
                                                     codecs.BOM_UTF16_BE):
            continue
        try:
            return json.loads(data.decode(encoding), object_pairs_hook=hook)
        except (ValueError, RecursionError):
            continue
    return DAMAGED


def json_says(data: bytes) -> Any:
    """The labels that a JSON file gives, read independently."""
    tree = parse_json(data)
    if not isinstance(tree, dict):
        return DAMAGED
    found = {}
    for name, tags in tree.items():
        image_id = id_of(name)
        if not isinstance(tags, list):
            return DAMAGED
        if image_id is None:
            continue  # of another split
        labels = labels_of(tags)
        if labels is None or image_id in found:
            return DAMAGED
        found[image_id] = labels
    return found if found.keys() == TRUTH.keys() else DAMAGED


def _json_tree(rng: random.Random) -> dict:
    suffix = rng.choice(('.jpg', '', '.PNG'))
    form = rng.choice(('NFC', 'NFD'))
    return {
        unicodedata.normalize(form, image_id + suffix):
        [unicodedata.normalize(form, name) for name in names_of(labels)]
        for image_id, labels in TRUTH.items()
    }


def dump(rng: random.Random, tree: Any) -> bytes:
    return json.dumps(
        tree, ensure_ascii=rng.random() < .5, indent=rng.choice(
            (None, 1))).encode(rng.choice(('utf-8', 'utf-8', 'utf-8-sig')))


@fuzzed('json', 260, 14)
def make_json(room: Room) -> Case:
    rng = room.rng
    tree = _json_tree(rng)
    story, must_read = [], False
    kind = rng.choice(('plain', 'tree', 'tree', 'tree', 'bytes', 'bytes',
                       'encoding', 'twin', 'deep'))
    if kind == 'tree':
        tree, what = damage_tree(rng, tree)
        story.append(what)
    data = dump(rng, tree)
    if kind == 'plain':
        must_read = True
    elif kind == 'bytes':
        data, what = damage(rng, data)
        story.append(what)
    elif kind == 'encoding':
        encoding = rng.choice(('utf-16', 'latin-1', 'gb18030', 'utf-32'))
        data = json.dumps(
            tree, ensure_ascii=False).encode(
                encoding, errors='replace')
        story.append(encoding)
    elif kind == 'twin':
        key, value = rng.choice(list(tree.items()))
        pair = json.dumps({key: rng.choice([value, ['dog'], []])})[1:-1]
        data = b'{' + pair.encode() + b',' + json.dumps(tree)[1:].encode()
        story.append(f'{key!r} twice')
    elif kind == 'deep':
        data = b'[' * 100_000
        if rng.random() < .5:
            data = b'{"photo1": ' * 50_000 + b'[]' + b'}' * 50_000
        story.append('nested deeply')
    says = json_says(data)
    path = room.write('labels.json', data)
    result = allowed(says)
    if kind == 'encoding':
        result.append(TRUTH)  # a reader may know the encoding
    return Case(lambda: JSONLabels(str(path)).load(IMAGES, CLASSES),
                ['labels.json'], result, must_read, [kind, *story])
