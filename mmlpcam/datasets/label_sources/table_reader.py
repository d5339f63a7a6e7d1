"""The one reader of tables of tags."""
import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from mmlpcam.utils.names import listed
from .image_finder import ImageFinder, to_nfc, without_photo_suffix
from .table_text import DELIMITERS, Row, check_cells, parse, read_text

LAYOUTS = ('tags', 'one_hot', 'long')
"""tuple[str, ...]: What :func:`read_tag_table` knows."""
_SEPARATORS = ';,|，；、'
_MEANING = dict(
    tags='a row per image, with its tags',
    one_hot='a column per class',
    long='a row per tag, which add up')
# Words of header lines; digits and what is no letter do not count.
_NAME_WORDS = {
    ''.join(words)
    for words in product(('image', 'img', 'photo', 'picture', 'file'),
                         ('', 's', 'id', 'name', 'path', 'file', 'filename'))
} | {'id', 'name', 'path', 'bild', 'datei', 'foto'}
_TAG_WORDS = {
    ''.join(words)
    for words in product(('tag', 'label', 'class', 'category',
                          'object'), ('', 's', 'es', 'name', 'names', 'id'))
} | {'categories', 'keyword', 'keywords', 'caption'}
# What marks a class in a column, and what leaves it out.
_MARKS = (('1', '0'), ('1.0', '0.0'), ('true', 'false'), ('yes', 'no'),
          ('y', 'n'), ('t', 'f'), ('+', '-'), ('x', ''), ('1', ''))
_NO_TAG = re.compile(
    r'[-+]?(\d+([.,]\d*)?|[.,]\d+)(e[-+]?\d+)?%?|true|false|nan|inf|none|null|'
    r'#?n/?a|-|\?', re.IGNORECASE)


@dataclass
class TagTable:
    """What a table says.

    Args:
        path (Path): The file.
        delimiter (str): What separates columns.
        sep (str | None): What separates tags in a cell; None if no cell has
            several.
        layout (str): One of :data:`LAYOUTS`.
        header (Row | None): The header line.
        tags (dict[str, list[str]]): Tags of each image by its id.
        lines (dict[str, int]): The first line of each image.
        strangers (list[tuple[int, str]]): Line and name of the rows of other
            images.
        num_rows (int): Number of rows without the header.
    """

    path: Path
    delimiter: str
    sep: str | None
    layout: str
    header: Row | None
    tags: dict[str, list[str]]
    lines: dict[str, int]
    strangers: list[tuple[int, str]]
    num_rows: int

    def where(self, image_id: str) -> str:
        """Return where an image stands, for messages."""
        return f'{self.path}, line {self.lines[image_id]}'

    def summary(self) -> str:
        """Return in a line what was understood."""
        words = [
            f'{self.path}: read as {_MEANING[self.layout]}; columns between ' +
            DELIMITERS.get(self.delimiter, repr(self.delimiter))
        ]
        if self.sep:
            words.append(f'tags between {self.sep!r}')
        words.append(
            f'line {self.header.line} is a header: '
            f'{listed(self.header.cells)}' if self.header else 'no header')
        words.append(f'{self.num_rows} rows, of which '
                     f'{self.num_rows - len(self.strangers)} name '
                     f'{len(self.tags)} images')
        return ', '.join(words)


def read_tag_table(
    path: str | Path,
    finder: ImageFinder,
    *,
    sep: str | None = None,
    delimiter: str | None = None,
    layout: str | None = None,
    as_index: bool = False,
    classes: Sequence[str] = ()) -> TagTable:
    """Read a table of tags, and find out how it is written.

    The first column names the image. The layouts are::

        tags                one_hot             long
        photo,tags          photo,cat,dog       photo,tag
        a.jpg,cat;dog       a.jpg,1,1           a.jpg,cat
        b.jpg,cat,dog       b.jpg,1,0           a.jpg,dog
        c.jpg,              c.jpg,0,0           c.jpg,

    Args:
        path (str | Path): Text file in UTF-8.
        finder (ImageFinder): The images to look for.
        sep (str, optional): What separates tags in a cell. Defaults to None,
            which finds it.
        delimiter (str, optional): What separates columns. Defaults to None,
            which finds it.
        layout (str, optional): One of :data:`LAYOUTS`. Defaults to None,
            which finds it.
        as_index (bool): Whether tags are numbers. Defaults to False.
        classes (Sequence[str]): Names that are one tag, whatever they
            hold. Defaults to ().

    Returns:
        TagTable: The tags of each image.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no such table, names no image, or is ambiguous.
    """
    return _Reader(Path(path), finder, as_index,
                   classes).read(sep, delimiter, layout)


class _Reader:
    """Find out step by step how a table is written."""

    def __init__(self, path: Path, finder: ImageFinder, as_index: bool,
                 classes: Sequence[str]) -> None:
        self.path = path
        self.finder = finder
        self.as_index = as_index
        self.classes = {to_nfc(name) for name in classes}

    def read(self, sep: str | None, delimiter: str | None,
             layout: str | None) -> TagTable:
        delimiter, rows = self.split(delimiter)
        header = rows.pop(0) if self.is_header(rows, layout) else None
        met: list[tuple[str, Row]] = []
        strangers = []
        for row in rows:
            check_cells(self.path, row)
            image_id = self.find(row)
            if image_id is None:  # of another split
                strangers.append((row.line, row.cells[0]))
            else:
                met.append((image_id, row))
        if not met:
            self.refuse_strangers(rows)
        if layout is None and self.is_one_hot(header, rows):
            layout = 'one_hot'
        if layout == 'one_hot':
            marks = self.choose_marks(row for _, row in met)
            found = [(i, row.line, self.marked(header, row, marks))
                     for i, row in met]
        else:
            sep = sep or self.find_sep([row for _, row in met])
            found = [(i, row.line, self.tags(row, sep)) for i, row in met]
            if layout is None:
                layout = self.tags_or_long(met, found)
            if layout == 'tags':
                self.check_columns(header, met)
        tags, lines = self.collect(found, layout)
        return TagTable(self.path, delimiter, sep, layout, header, tags, lines,
                        strangers, len(rows))

    def error(self, row: Row | int, message: str) -> ValueError:
        line = row if isinstance(row, int) else row.line
        return ValueError(f'{self.path}, line {line}: {message}')

    def find(self, row: Row) -> str | None:
        if not row.cells[0]:
            raise self.error(
                row, 'the first column, the name of the image, '
                f'is empty beside {listed(row.cells[1:])}')
        return self.finder.find(row.cells[0], f'{self.path}, line {row.line}')

    def meets(self, name: str) -> bool:
        try:
            return bool(name) and self.finder.find(name) is not None
        except ValueError:
            return False

    def split(self, delimiter: str | None) -> tuple[str, list[Row]]:
        """Split the table at the character with which rows name images."""
        text, declared = read_text(self.path)
        delimiter = delimiter or declared
        results, errors = [], []
        for each in [delimiter] if delimiter else DELIMITERS:
            try:
                rows = parse(text, each)
            except csv.Error as error:
                errors.append(error)
                continue
            met = [row for row in rows if self.meets(row.cells[0])]
            wide = sum(len(row.cells) > 1 for row in met)
            results.append((len(met), wide, each, rows))
        if errors and not any(wide for _, wide, _, _ in results):
            raise ValueError(f'{self.path}: not a CSV file in UTF-8: '
                             f'{errors[0]}. Close its quotes')
        # a stable sort: the comma comes first
        results.sort(key=lambda result: result[:2], reverse=True)
        best = results[0]
        if not best[3]:
            raise ValueError(f'{self.path}: the table is empty')
        if best[1] and results[1:] and results[1][:2] == best[:2]:
            raise ValueError(
                f'{self.path}: rows name as many images with '
                f'{best[2]!r} as with {results[1][2]!r} between the columns: '
                'state the delimiter')
        return best[2], best[3]

    def is_header(self, rows: list[Row], layout: str | None) -> bool:
        first, *others = rows[0].cells
        words = [
            re.sub(r'[\W\d_]', '', cell.casefold()) for cell in rows[0].cells
        ]
        if others and words[0] in _NAME_WORDS and all(
                word in _TAG_WORDS for word in words[1:] if word):
            return True  # though there may be a photo of this name
        if self.meets(first) or without_photo_suffix(first) != first:
            return False
        return (layout == 'one_hot' or words[0] in _NAME_WORDS
                or any(word in _TAG_WORDS for word in words[1:])
                or self.is_one_hot(rows[0], rows[1:]))

    def is_one_hot(self, header: Row | None, rows: list[Row]) -> bool:
        """Say if cells mark the classes that the header names."""
        names = header.cells[1:] if header else []
        cells = {
            to_nfc(cell)
            for row in rows if self.meets(row.cells[0])
            for cell in row.cells[1:]
        }
        values = {cell.casefold() for cell in cells}
        words = [re.sub(r'[\W\d_]', '', name.casefold()) for name in names]
        if (not names or self.as_index or not values - {''}
                or any(name.casefold() in values for name in names)
                or any(word in _TAG_WORDS for word in words)):
            return False
        if cells - {''} <= self.classes and not set(names) <= self.classes:
            return False  # classes that are called 0 and 1
        # a blank beside 0 and 1 is met later, with its line
        return any({*marks, ''} >= values for marks in _MARKS)

    def choose_marks(self, rows: Iterable[Row]) -> tuple[str, str]:
        """Return what marks a class, and what leaves it out."""
        values = {cell.casefold() for row in rows for cell in row.cells[1:]}
        fitting = [marks for marks in _MARKS if values.issubset(marks)]
        # the likeliest: rows that do not have them are refused
        likely = [marks for marks in _MARKS if marks[0] in values]
        return (fitting + likely + [_MARKS[0]])[0]

    def marked(self, header: Row | None, row: Row,
               marks: tuple[str, str]) -> list[str]:
        """Return the names of the columns that a row marks."""
        if header is None:
            raise self.error(
                row, 'a table with a column per class needs a '
                'header line that names the classes')
        names = header.cells[1:]
        twice = [name for name, n in Counter(names).items() if n > 1]
        if not all(names) or twice:
            raise self.error(
                header, 'expected a different name over each '
                f'column, but got {listed(names)}')
        if len(row.cells) != len(header.cells):
            raise self.error(
                row, f'expected {len(header.cells)} cells as in '
                f'the header, but got {len(row.cells)}: '
                f'{listed(row.cells)}')
        values = [cell.casefold() for cell in row.cells[1:]]
        if not set(values).issubset(marks):
            raise self.error(
                row, f'expected {marks[0]!r} or {marks[1]!r} in '
                'the column of each class, but got '
                f'{listed(row.cells[1:])}')
        return [n for n, value in zip(names, values) if value == marks[0]]

    def find_sep(self, rows: list[Row]) -> str | None:
        """Find what separates tags in a cell."""
        found: dict[str, Row] = {}
        for row in rows:
            for cell in row.cells[1:]:
                if cell not in self.classes:
                    for letter in _SEPARATORS:
                        if letter in cell:
                            found.setdefault(letter, row)
        if len(found) > 1:
            (one, first), (two, second) = list(found.items())[:2]
            raise self.error(
                second, f'{second.cells[1:]!r} has {two!r} inside a cell, but '
                f'line {first.line} has {one!r} ({first.cells[1:]!r}): which '
                'one separates tags? Write all rows alike, or state sep, and '
                'delimiter if columns are not separated by it')
        return next(iter(found), None)

    def tags(self, row: Row, sep: str | None) -> list[str]:
        """Return the tags in the cells of a row."""
        tags: list[str] = []
        for cell in row.cells[1:]:
            is_class = not sep or cell in self.classes
            tags += [cell] if is_class else map(str.strip, cell.split(sep))
        tags = list(filter(None, tags))
        for tag in tags:
            if (_NO_TAG.fullmatch(tag) and tag not in self.classes
                    and not self.as_index):
                raise self.error(
                    row, f'{tag!r} is no tag. Boxes, sizes and scores must '
                    'be cut out, an image of no class has an empty cell, and '
                    'a column per class needs a header line that names the '
                    'class, with 1 or 0 in each row. If tags are class '
                    'indices, set as_index=True of CSVLabels')
        return tags

    def tags_or_long(self, met: list[tuple[str, Row]],
                     found: list[tuple[str, int, list[str]]]) -> str:
        """Tell a row per image from a row per tag."""
        repeated = len({image_id for image_id, _, _ in found}) < len(found)
        narrow = all(len(list(filter(None, row.cells))) < 3 for _, row in met)
        single = narrow and all(len(tags) < 2 for _, _, tags in found)
        return 'long' if repeated and single else 'tags'

    def check_columns(self, header: Row | None, met: list[tuple[str,
                                                                Row]]) -> None:
        """Refuse columns that hold something else than tags."""
        if header is None or len(header.cells) < 3:
            return  # one column, or as many as tags need
        for name in filter(None, header.cells[1:]):
            if re.sub(r'[\W\d_]', '', name.casefold()) not in _TAG_WORDS:
                raise self.error(
                    header, f'the column {name!r} holds neither names nor '
                    'tags, nor 1 and 0: cut it out, or call columns of tags '
                    '"tag"')
        for _, row in met:
            if len(row.cells) > len(header.cells):
                raise self.error(
                    row, f'expected {len(header.cells)} cells as '
                    f'in the header, but got {len(row.cells)}')

    def collect(self, found: list[tuple[str, int, list[str]]],
                layout: str) -> tuple[dict[str, list[str]], dict[str, int]]:
        """Join what the rows say of each image."""
        tags: dict[str, list[str]] = {}
        lines: dict[str, int] = {}
        for image_id, line, more in found:
            if image_id not in tags:
                tags[image_id], lines[image_id] = list(more), line
            elif layout != 'long':
                raise self.error(
                    line, f'image {image_id!r} was already given in '
                    f'{self.path}, line {lines[image_id]}: join the two rows '
                    "to one with the tags of both. (layout='long' is a row "
                    'for each tag.)')
            elif bool(more) != bool(tags[image_id]):
                raise self.error(
                    line, f'image {image_id!r} has a tag in one row and none '
                    f'in another one, line {lines[image_id]}: which is right?')
            else:
                tags[image_id] += [
                    tag for tag in more if tag not in tags[image_id]
                ]
        return tags, lines

    def refuse_strangers(self, rows: list[Row]) -> None:
        """Say why no row may name an image."""
        ids = self.finder.image_ids
        names = [row.cells[0] for row in rows]
        message = (f'no row of {self.path} names an image: its rows begin '
                   f'with {listed(names, 2) if names else "nothing"}, but '
                   f'images are named like {listed(ids, 2)}.')
        for row in rows:
            other = [
                n for n, cell in enumerate(row.cells[1:], start=2)
                if self.meets(cell)
            ]
            if other:
                raise ValueError(f'{message} Column {other[0]} does: make it '
                                 'the first one')
            if near := self.finder.guess(row.cells[0]):
                raise ValueError(
                    f'{message} Does {row.cells[0]!r} (line {row.line}) mean '
                    f'{near!r}? Letters must agree in case, folders are those '
                    'below the image folder')
        raise ValueError(f'{message} If the columns are separated by another '
                         'character than , ; tab or |, state the delimiter')
