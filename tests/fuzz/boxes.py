"""Image labels from annotations of objects: COCO and XML."""
import random
import unicodedata
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from mmlpcam.datasets import COCOJSONLabels, VOCXMLLabels
from .core import Case, Room, fuzzed
from .labels import (CLASSES, DAMAGED, IDS, IMAGES, TRUTH, allowed, dump,
                     id_of, labels_of, names_of, parse_json)
from .mutators import damage, damage_tree

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
    data = dump(rng, tree)
    if kind == 'bytes':
        data, what = damage(rng, data)
        story.append(what)
    path = room.write('instances.json', data)
    return Case(lambda: COCOJSONLabels(str(path)).load(IMAGES, CLASSES),
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
    return Case(lambda: VOCXMLLabels(str(folder)).load(IMAGES, CLASSES),
                [f'{victim}.xml', Path(f'{victim}.xml').name], allowed(result),
                must_read, story)
