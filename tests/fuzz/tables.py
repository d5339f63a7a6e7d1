"""Tables of tags, lists of ids, and the projects made of them."""
import csv
import io
import random
import runpy
import sys
import unicodedata
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from PIL import Image

from mmlpcam.converters.voc_aug import read_splits
from mmlpcam.datasets import CSVLabels, ImageLabelDataset, JSONLabels
from mmlpcam.datasets.path_checked_dataset import PathCheckedDataset
from mmlpcam.evaluation import PseudoLabelWriter
from .core import Case, Room, fuzzed
from .labels import (CLASSES, DAMAGED, IMAGES, TRUTH, allowed, id_of,
                     labels_of, names_of)
from .mutators import damage

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


class Dialect:
    """How a table is written, and what a table written so says.

    Args:
        rng (random.Random): Draws all of it.
        plain (bool): Whether to take the form of the documentation.
    """

    def __init__(self, rng: random.Random, plain: bool = False) -> None:
        self.layout = rng.choice(
            ('tags', 'tags', 'columns', 'one-hot', 'long'))
        self.delimiter = rng.choice(',;\t|')
        self.sep = rng.choice([s for s in ';,|' if s != self.delimiter])
        self.header = rng.random() < .7 or self.layout == 'one-hot'
        self.encoding = rng.choice(
            ('utf-8', 'utf-8', 'utf-8-sig', 'utf-16', 'cp1252'))
        self.newline = rng.choice(('\n', '\r\n'))
        self.quoting = rng.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
        self.suffix = rng.choice(('.jpg', '.JPG', ''))
        self.form = rng.choice(('NFC', 'NFD'))
        self.space = rng.choice(('', '', ' '))
        if plain:
            self.layout, self.delimiter, self.sep = 'tags', ',', ';'
            self.encoding, self.form, self.space = 'utf-8', 'NFC', ''
        if self.encoding == 'cp1252':
            self.form = 'NFC'

    def __str__(self) -> str:
        return ' '.join(f'{key}={value!r}'
                        for key, value in vars(self).items())

    def rows(self) -> list[list[str]]:
        """The cells, without header."""
        result = []
        for image_id, labels in TRUTH.items():
            name, names = image_id + self.suffix, names_of(labels)
            if self.layout == 'tags':
                result.append([name, (self.sep + self.space).join(names)])
            elif self.layout == 'columns':
                result.append([name, *names, *[''] * (2 - len(names))])
            elif self.layout == 'one-hot':
                result.append([name, *('01'[cls in names] for cls in CLASSES)])
            else:
                result += [[name, tag] for tag in names or ['']]
        return result

    def head(self) -> list[str]:
        return dict(
            tags=['image', 'tags'],
            columns=['image', 'tag 1', 'tag 2'],
            long=['image', 'tag'])\
            .get(self.layout, ['image', *CLASSES])

    def text(self, rows: list[list[str]]) -> bytes:
        buffer = io.StringIO()
        writer = csv.writer(
            buffer,
            delimiter=self.delimiter,
            quoting=self.quoting,
            lineterminator=self.newline)
        writer.writerows([self.head()] * self.header + rows)
        text = unicodedata.normalize(self.form, buffer.getvalue())
        return text.encode(self.encoding)

    def says(self, data: bytes, any_suffix: bool = True) -> Any:
        """The labels that a table of this dialect gives."""
        encoding = 'utf-8-sig' if self.encoding == 'utf-8' else self.encoding
        try:
            text = data.decode(encoding)
            if '\x00' in text:
                return DAMAGED
            rows = [
                row for row in csv.reader(
                    io.StringIO(text, newline=''),
                    delimiter=self.delimiter,
                    strict=True) if row
            ]
        except (ValueError, csv.Error):
            return DAMAGED
        head = rows.pop(0) if self.header and rows else []
        found: dict[str, tuple] = {}
        for row in rows:
            image_id = id_of(row[0], any_suffix)
            if image_id is None:
                continue  # of another split
            labels = self._tags(row[1:], head)
            if labels is None or (image_id in found and self.layout != 'long'):
                return DAMAGED
            found[image_id] = tuple(
                sorted({*labels, *found.get(image_id, ())}))
        return found if found.keys() == TRUTH.keys() else DAMAGED

    def _tags(self, cells: list[str], head: list[str]) -> tuple | None:
        if self.layout == 'one-hot':
            if (len(cells) != len(head) - 1
                    or any(cell.strip() not in ('0', '1') for cell in cells)):
                return None
            cells = [name for name, on in zip(head[1:], cells) if '1' in on]
            if labels_of(head[1:]) != tuple(range(len(CLASSES))):
                return None
        elif self.layout == 'tags':
            cells = [tag for cell in cells for tag in cell.split(self.sep)]
        return labels_of(filter(str.strip, cells))


@fuzzed('csv', 420, 24)
def make_csv(room: Room) -> Case:
    rng = room.rng
    kind = rng.choice(('plain', 'dialect', 'dialect', 'dialect', 'cell',
                       'cell', 'cell', 'rows', 'bytes', 'bytes', 'bytes'))
    dialect = Dialect(rng, plain=kind == 'plain')
    rows, story = dialect.rows(), [kind, str(dialect)]
    if kind == 'cell':
        row = rng.choice(rows)
        place = rng.randrange(len(row))
        row[place] = rng.choice(
            ('caat', 'NaN', '2', '\x00', '=1+1', 'cat dog', '-1', '0.5',
             '../../photo1.jpg', 'null', row[place] + 'x', "'" + row[place],
             row[place].upper() + '?', 'x' * 200_000))
        story.append(f'a cell is {row[place][:20]!r}')
    elif kind == 'rows':
        what = rng.choice(('drop', 'twice', 'shift', 'short', 'swap'))
        place = rng.randrange(len(rows))
        if what == 'drop':
            del rows[place]
        elif what == 'twice':
            rows.insert(place, list(rng.choice(rows)))
        elif what == 'shift':
            rows[place].insert(0, '17')
        elif what == 'short':
            rows[place] = rows[place][:1]
        else:
            rows = [row[::-1] for row in rows]
        story.append(f'{what} row {place}')
    data = dialect.text(rows)
    if kind == 'bytes':
        data, what = damage(rng, data)
        story.append(what)
    says = dialect.says(data)
    result = allowed(says) + allowed(dialect.says(data, any_suffix=False))
    if kind == 'rows' and says is DAMAGED and what == 'twice':
        # rows of one photo may add up
        dialect.layout, layout = 'long', dialect.layout
        if layout != 'one-hot':
            result = [
                lambda found: found.keys() == TRUTH.keys() and all(
                    {*labels} <= {*found[i]} for i, labels in TRUTH.items())
            ]
    path = room.write('tags.csv', data)
    return Case(lambda: CSVLabels(str(path)).load(IMAGES, CLASSES),
                ['tags.csv'], result, kind == 'plain', story)


# --- lists -------------------------------------------------------------------

_ESCAPES = ('../../evil', '../outside', '/tmp/evil', 'a/../../../evil')


def _photos(room: Room, ids: list[str]) -> Path:
    for number, image_id in enumerate(ids):
        path = room.folder / 'photos' / f'{image_id}.jpg'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (16, 16), (number * 9, 40, 90)).save(path)
    return room.folder / 'photos'


@fuzzed('lists', 70, 6)
def make_list(room: Room) -> Case:
    """A list of ids that a data set reads; outside lies a photo to find."""
    rng = room.rng
    ids = ['photo1', 'photo2', 'sub/photo3']
    photos = _photos(room, ids)
    for folder in (room.outside, room.folder):
        Image.new('RGB', (16, 16)).save(folder / 'outside.jpg')
        Image.new('RGB', (16, 16)).save(folder / 'evil.jpg')
    labels = room.write(
        'labels.json',
        '{' + ', '.join(f'"{i}": ["cat"]'
                        for i in (*ids, 'evil', 'outside')) + '}')
    bad = rng.choice(_ESCAPES[:2] + _ESCAPES[3:] + ('photo1', 'no such'))
    kind = rng.choice(('plain', 'bad', 'bad', 'bytes'))
    data = '\n'.join(ids).encode()
    if kind == 'bad':
        lines = list(ids)
        lines.insert(rng.randint(0, 3), bad)
        data = '\n'.join(lines).encode()
    elif kind == 'bytes':
        data, bad = damage(rng, data)
    path = room.write('train.txt', data)
    try:
        lines = data.decode().split('\n')
        says = [line for line in lines if line.strip()]
        is_right = len(set(says)) == len(says) > 0 and {*says} <= {*ids}
    except UnicodeDecodeError:
        says, is_right = [], False

    def read():
        return ImageLabelDataset(
            PathCheckedDataset(
                ann_file=str(path),
                data_prefix=dict(img_path=str(photos)),
                img_suffix='.jpg',
                metainfo=dict(classes=('background', 'cat')),
                lazy_init=True), JSONLabels(str(labels))).image_ids

    names = ['train.txt', 'photos/']
    if kind == 'bad':
        names.append(Path(bad).name)
    names += [line.strip() for line in says if line not in ids]
    return Case(read, names, [says] if is_right else [], kind == 'plain',
                [kind, bad])


@fuzzed('voc-list', 40, 4)
def make_voc_list(room: Room) -> Case:
    """Lists of VOC and SBD, of which masks get their names."""
    rng = room.rng
    lists = {
        'VOC/ImageSets/Segmentation/train.txt': ['2007_000001', '2007_000002'],
        'VOC/ImageSets/Segmentation/val.txt': ['2007_000003'],
        'SBD/train.txt': ['2008_000004', '2008_000005'],
        'SBD/val.txt': ['2008_000006'],
    }
    victim, bad = rng.choice(list(lists)), rng.choice(_ESCAPES)
    plain = rng.random() < .1
    for name, lines in lists.items():
        if name == victim and not plain:
            lines.insert(rng.randint(0, len(lines)), bad)
        room.write(name, '\n'.join(lines) + '\n')

    def read():
        splits = read_splits(room.folder / 'VOC', room.folder / 'SBD')
        return sorted({i for ids in splits.values() for i in ids})

    truth = sorted({i for ids in lists.values() for i in ids})
    return Case(
        read, [victim, Path(victim).name, repr(bad)], [truth] if plain else [],
        plain, [victim, repr(bad)])


@fuzzed('written-ids', 40, 4)
def make_written_id(room: Room) -> Case:
    """A mask whose id leaves the folder, as a data set may give it."""
    rng = room.rng
    bad = rng.choice(_ESCAPES)
    plain = rng.random() < .2
    image_id = 'sub/photo' if plain else bad

    def read():
        writer = PseudoLabelWriter(str(room.folder / 'out'))
        writer.dataset_meta = dict(
            classes=('background', 'cat'), palette=[[0, 0, 0], [9, 9, 9]])
        writer.open({})
        writer.process(None, [
            dict(
                image_id=image_id,
                pred_sem_seg=dict(data=torch.ones(1, 4, 4, dtype=torch.int64)))
        ])
        return np.array(Image.open(room.folder / f'out/masks/{image_id}.png'))

    return Case(read, [image_id], [np.ones((4, 4))] if plain else [], plain,
                [repr(image_id)])


# --- projects ----------------------------------------------------------------


def _tool(name: str, *args: Any) -> str:
    """Run a tool in this process; an exit status is an error."""
    output = io.StringIO()
    argv, sys.argv = sys.argv, [name, *map(str, args)]
    try:
        with redirect_stdout(output), redirect_stderr(output):
            status = runpy.run_path(str(TOOLS / name))['main']()
    except SystemExit as stop:
        status = stop.code
    finally:
        sys.argv = argv
    if status:
        raise ValueError(output.getvalue())
    return output.getvalue()


def _strange_tag(room: Room) -> str:
    rng, canary = room.rng, str(room.canary)
    call = f'__import__("os").mkdir({canary!r})'  # a comma would part it
    return rng.choice((
        '{{ fileDirname }}',
        '{{fileBasename}}',
        '{{$HOME:x}}',
        '{{$NO_SUCH:x}}',
        '{{_base_.model}}',
        "{{$NO_SUCH:'+str(CALL)+'}}",
        "{{$NO_SUCH:',CALL,'}}",
        "'+str(CALL)+'",
        '"+str(CALL)+"',
        "'''CALL'''",
        "\\' + str(CALL) #",
        "') + str(CALL) + ('",
        '${HOME}',
        '%(classes)s',
        '{num_classes}',
        "it's",
        'say "x"',
        'back\\slash',
        '\\N{DIGIT ONE}',
        '\\x41',
        '# no comment',
        'e\u0301tude',
        '\u202eright',
        '\u732b',
        '=1+1',
        'None',
        'a' * 300,
        'two words',
        '_delete_',
        'a/b',
        '{{',
        'line\nbreak',
    )).replace('CALL', call)


@fuzzed('project', 110, 8)
def make_project(room: Room) -> Case:
    rng = room.rng
    ids = [f'photo{i}' for i in range(9)]
    photos = _photos(room, ids)
    strange = [_strange_tag(room) for _ in range(rng.randint(1, 2))]
    tags = [['cat', 'dog'][i % 2] for i in range(9)]
    by_id = dict(zip(ids, tags))
    for image_id, tag in zip(rng.sample(ids[2:], 2), strange):
        by_id[image_id] = tag
    buffer = io.StringIO()
    csv.writer(
        buffer,
        lineterminator='\n').writerows([f'{image_id}.jpg', tag]
                                       for image_id, tag in by_id.items())
    table = room.write('tags.csv', buffer.getvalue())
    truth = sorted(
        {unicodedata.normalize('NFC', tag)
         for tag in by_id.values()})
    project = room.folder / 'project'

    def read():
        _tool('new_project.py', photos, table, project, '--size', 'small')
        cfg = Config.fromfile(str(project / 'segmentor.py'))
        data = cfg.train_dataloader.dataset.dataset
        classes = list(data.metainfo.classes)[1:]
        if cfg.num_classes != len(classes) + 1:
            return cfg.num_classes
        return sorted(unicodedata.normalize('NFC', name) for name in classes)

    # a tag may come quoted, or cut
    names = ['tags.csv', *strange, *(repr(tag)[1:-1] for tag in strange)]
    return Case(read, names, [truth], False, [repr(t) for t in strange],
                [room.canary])
