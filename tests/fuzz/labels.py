"""Image labels as JSON, COCO, XML, NPY and folders of classes."""
import codecs
import io
import json
import os
import pickle
import random
import unicodedata
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from mmlpcam.datasets import (COCOJSONLabels, FolderLabels, JSONLabels,
                              NPYLabels, VOCXMLLabels)
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


def _dump(rng: random.Random, tree: Any) -> bytes:
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
    data = _dump(rng, tree)
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
    return Case(lambda: JSONLabels(str(path)).load(IDS, CLASSES),
                ['labels.json'], result, must_read, [kind, *story])


# --- COCO --------------------------------------------------------------------


def _key(value: Any) -> Any:
    """An id of COCO as a key: numbers and strings are told apart."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value


def coco_says(data: bytes) -> Any:
    """The labels that a COCO file gives, read independently."""
    tree = parse_json(data, dict)
    try:
        images = [(_key(item['id']), item['file_name'])
                  for item in tree['images']]
        names = [(_key(item['id']), item['name'])
                 for item in tree['categories']]
        pairs = [(_key(item['image_id']), _key(item['category_id']))
                 for item in tree['annotations']]
    except (TypeError, KeyError):
        return DAMAGED
    categories = dict(names)
    keys = [key for key, _ in images]
    found = {}
    for key, name in images:
        image_id = id_of(name)
        if key is None or not isinstance(name, str):
            return DAMAGED
        if image_id is not None:
            if image_id in found:
                return DAMAGED
            found[image_id] = key
    if (len(set(keys)) < len(keys) or len(categories) < len(names)
            or None in categories):
        return DAMAGED
    if any(image not in keys or category not in categories
           for image, category in pairs):
        return DAMAGED
    if found.keys() != TRUTH.keys():
        return DAMAGED
    labels = {
        image_id:
        labels_of(categories[category] for image, category in pairs
                  if image == key)
        for image_id, key in found.items()
    }
    return DAMAGED if None in labels.values() else labels


def _coco_tree(rng: random.Random) -> dict:
    suffix = rng.choice(('.jpg', '.png'))
    form = rng.choice(('NFC', 'NFD'))
    numbers = rng.sample(range(1, 10**6), len(TRUTH))
    return dict(
        images=[
            dict(
                id=number,
                file_name=unicodedata.normalize(form, image_id + suffix),
                width=8,
                height=8) for number, image_id in zip(numbers, TRUTH)
        ],
        annotations=[
            dict(
                id=i,
                image_id=number,
                category_id=7 + label,
                iscrowd=rng.randint(0, 1)) for i, (number, label) in enumerate(
                    (number, label)
                    for number, labels in zip(numbers, TRUTH.values())
                    for label in labels for _ in range(rng.randint(1, 2)))
        ],
        categories=[
            dict(id=7 + i, name=unicodedata.normalize(form, name))
            for i, name in enumerate(CLASSES)
        ])


@fuzzed('coco', 300, 14)
def make_coco(room: Room) -> Case:
    rng = room.rng
    tree = _coco_tree(rng)
    kind = rng.choice(
        ('plain', 'tree', 'tree', 'tree', 'tree', 'bytes', 'bytes', 'twin'))
    story = [kind]
    if kind == 'twin':
        part = rng.choice(('images', 'categories'))
        item = dict(rng.choice(tree[part]))
        other = rng.choice(tree[part])
        key = rng.choice(('id', 'file_name' if part == 'images' else 'name'))
        item[key] = other[key] if rng.random() < .5 else 10**7
        tree[part].insert(rng.randint(0, len(tree[part])), item)
        story.append(f'{part}: {item}')
    elif kind == 'tree':
        for _ in range(rng.randint(1, 2)):
            if not isinstance(tree, dict) or not tree:
                break
            tree, what = damage_tree(rng, tree)
            story.append(what)
    data = _dump(rng, tree)
    if kind == 'bytes':
        data, what = damage(rng, data)
        story.append(what)
    path = room.write('instances.json', data)
    return Case(lambda: COCOJSONLabels(str(path)).load(IDS, CLASSES),
                ['instances.json'], allowed(coco_says(data)), kind == 'plain',
                story)


# --- XML ---------------------------------------------------------------------


def xml_says(data: bytes) -> Any:
    """The labels that one annotation gives, read independently."""
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError):
        return DAMAGED
    if root.tag != 'annotation':
        return DAMAGED
    labels = labels_of(
        item.findtext('name') or '' for item in root.findall('object'))
    return DAMAGED if labels is None else labels


def _xml(rng: random.Random, image_id: str, labels: tuple[int, ...]) -> str:
    objects = ''.join(f'<object><name>{name}</name><difficult>0</difficult>'
                      '<part><name>head</name></part></object>'
                      for name in names_of(labels)
                      for _ in range(rng.randint(1, 2)))
    return (f'<annotation><filename>{image_id}.jpg</filename>'
            f'<size><width>8</width></size>{objects}</annotation>')


def _strange_xml(rng: random.Random, plain: str) -> tuple[str | bytes, str]:
    """One annotation, unusual or damaged."""
    what = rng.choice(
        ('bytes', 'bytes', 'bytes', 'utf-16', 'gb18030', 'cp1252',
         'undeclared', 'unknown', 'namespace', 'prefix', 'no name', 'bomb',
         'entity', 'other root', 'comment', 'cdata', 'deep', 'spaces',
         'doctype', 'index'))
    if what == 'bytes':
        return damage(rng, plain.encode())
    if what in ('utf-16', 'gb18030', 'cp1252'):
        head = f'<?xml version="1.0" encoding="{what}"?>'
        return (head + plain).encode(what), what
    tag = rng.choice(('x', 'cat '))
    return {
        'undeclared':
        plain.replace('<size>', '<size>\xe9').encode('cp1252'),
        'unknown':
        plain.replace('</annotation>', '<object><name>caat</name></object>'
                      '</annotation>'),
        'namespace':
        plain.replace('<annotation>', '<annotation xmlns="http://v.org/a">'),
        'prefix':
        plain.replace('<annotation>',
                      '<annotation xmlns:v="http://v">').replace(
                          '<object>',
                          '<v:object>').replace('</object>', '</v:object>'),
        'no name':
        plain.replace('</annotation>', '<object/></annotation>'),
        'bomb':
        '<!DOCTYPE a [<!ENTITY a0 "cat">' +
        ''.join(f'<!ENTITY a{i + 1} "{f"&a{i};" * 10}">' for i in range(9)) +
        ']>' + plain.replace('<size>', '<size>&a9;'),
        'entity':
        '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>' +
        plain.replace('<size>', '<size>&e;'),
        'other root':
        plain.replace('annotation>', 'svg>'),
        'comment':
        plain.replace('<size>', '<!-- <object> --><size>'),
        'cdata':
        plain.replace('<name>',
                      '<name><![CDATA[').replace('</name>', ']]></name>'),
        'deep':
        plain.replace('<size>', '<a>' * 20000 + '</a>' * 20000 + '<size>'),
        'spaces':
        plain.replace('<name>', '<name>\n  ').replace('</name>', ' </name>'),
        'doctype':
        '<?xml version="1.0"?><!DOCTYPE annotation>' + plain,
        'index':
        plain.replace('</annotation>', f'<object><name>{tag}x</name></object>'
                      '</annotation>'),
    }[what], what


@fuzzed('xml', 260, 14)
def make_xml(room: Room) -> Case:
    rng = room.rng
    victim = rng.choice(IDS)
    story, must_read = [victim], rng.random() < .06
    result: Any = dict(TRUTH)
    for image_id, labels in TRUTH.items():
        content: Any = _xml(rng, image_id, labels)
        if image_id == victim and not must_read:
            content, what = _strange_xml(rng, content)
            data = content.encode() if isinstance(content, str) else content
            says = xml_says(data)
            if what in ('namespace', 'prefix', 'gb18030'):
                says = labels  # as was meant; Python may not know the coding
            result = (
                DAMAGED if says is DAMAGED else {
                    **result, image_id: says
                })
            story.append(what)
        room.write(f'Annotations/{image_id}.xml', content)
    folder = room.folder / 'Annotations'
    return Case(lambda: VOCXMLLabels(str(folder)).load(IDS, CLASSES),
                [f'{victim}.xml', Path(f'{victim}.xml').name], allowed(result),
                must_read, story)


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


def is_labelling(result: Any) -> bool:
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
        result = [is_labelling]
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
    return Case(lambda: NPYLabels(str(path)).load(IDS, CLASSES),
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
    return Case(lambda: FolderLabels().load(ids, CLASSES), names, result,
                what == 'plain', [what])
