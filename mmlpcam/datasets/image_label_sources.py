"""Where the classes of an image come from.

A source maps image ids to foreground classes. An *image id* is the path of
the image relative to the image folder, without extension and with ``/``
between folders: ``2007_000032`` or ``sub/dir/photo1``. Labels are 0-based
indices into the *foreground* classes, that is into ``classes[1:]`` of a
dataset whose class 0 is the background.
"""
import csv
import difflib
import json
import pickle
import posixpath
import re
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree import ElementTree

import numpy as np
from mmseg.registry import TASK_UTILS

Labels = dict[str, tuple[int, ...]]


class ImageLabelSource(ABC):
    """Base class of the label sources.

    Subclasses are registered in ``mmseg.registry.TASK_UTILS`` and built from
    a config, ``dict(type='VOCXMLLabels', ann_dir='...')``.
    """

    @abstractmethod
    def load(self, image_ids: list[str], classes: tuple[str, ...]) -> Labels:
        """Read the labels of the images asked for.

        Args:
            image_ids (list[str]): Unique image ids.
            classes (tuple[str, ...]): Foreground class names, without the
                background.

        Returns:
            dict[str, tuple[int, ...]]: For every image id the sorted, unique
            class indices in [0, len(classes)). Empty where the source says
            that the image shows no class.

        Raises:
            FileNotFoundError: A label file or folder does not exist.
            ValueError: The source knows nothing about an image, or holds a
                class that is not in ``classes``.
        """


class _Labeller:
    """Turn tags, names or indices, into sorted unique class indices."""

    def __init__(self, classes: tuple[str, ...], as_index: bool = False):
        self.lookup = {name: i for i, name in enumerate(classes)}
        self.as_index = as_index

    def __call__(self, tags: Iterable[Any], where: str) -> tuple[int, ...]:
        convert = self._index if self.as_index else self._name
        return tuple(sorted({convert(tag, where) for tag in tags}))

    def _index(self, tag: Any, where: str) -> int:
        try:
            if isinstance(tag, bool | float):  # int() would round in silence
                raise ValueError
            index = int(tag)
        except (TypeError, ValueError):
            raise ValueError(
                f'{where}: expected an integer class index (as_index=True), '
                f'got {tag!r}.') from None
        if not 0 <= index < len(self.lookup):
            raise ValueError(
                f'{where}: class index {index} is out of range; valid are the '
                f'0-based foreground classes 0 to {len(self.lookup) - 1} '
                '(the background is not counted).')
        return index

    def _name(self, tag: Any, where: str) -> int:
        if isinstance(tag, str) and tag in self.lookup:
            return self.lookup[tag]
        by_lower = {name.lower(): name for name in self.lookup}
        near = [
            by_lower[name] for name in difflib.get_close_matches(
                str(tag).lower(), by_lower, n=3, cutoff=0.6)
        ]
        hint = (f'Nearest valid names: {listed(near)}.'
                if near else f'Valid names: {listed(list(self.lookup), 10)}.')
        if str(tag).isdigit():
            hint += ' If the tags are indices, set as_index=True.'
        raise ValueError(f'{where}: unknown class {tag!r}. {hint}')


def listed(items: list, limit: int = 5) -> str:
    """Quote the first items, and say how many follow."""
    text = ', '.join(repr(item) for item in items[:limit])
    more = len(items) - limit
    return f'{text} and {more} more' if more > 0 else text


def _check_known(unknown: list[str], total: int, source: str,
                 advice: str) -> None:
    """Raise if the source lacks images.

    Args:
        unknown (list[str]): Ids of the images that the source lacks.
        total (int): Number of images asked for.
        source (str): The file or folder, in words.
        advice (str): What to do about it.
    """
    if unknown:
        raise ValueError(f'{len(unknown)} of {total} images have no entry in '
                         f'{source}: {listed(unknown)}. {advice}')


def to_image_id(key: str, known: Container[str]) -> str:
    """Turn a file name or an image id into an image id.

    Args:
        key (str): Path below the image folder, with or without extension.
        known (Container[str]): All image ids.

    Returns:
        str: The id; it is not among the known ones if there is no such image.
    """
    key = key.strip().replace('\\', '/').removeprefix('./')
    # An id may hold a dot itself, so look before cutting the extension.
    return key if key in known else posixpath.splitext(key)[0]


def _existing(path: str | Path, what: str, *, folder: bool = False) -> Path:
    """Return ``path`` if it is there, else say what is missing."""
    path = Path(path)
    if not (path.is_dir() if folder else path.is_file()):
        raise FileNotFoundError(
            f'{what} {str(path)!r} does not exist or is no '
            f'{"folder" if folder else "file"}. Relative paths start at the '
            'current folder.')
    return path


def _read_json(path: Path, hook: Callable | None = None) -> Any:
    """Read a JSON file; a syntax error names the file."""
    try:
        return json.loads(
            path.read_text(encoding='utf-8-sig'), object_pairs_hook=hook)
    except ValueError as error:
        raise ValueError(f'{path}: not valid JSON: {error}') from error


@TASK_UTILS.register_module()
class VOCXMLLabels(ImageLabelSource):
    """Labels from Pascal VOC annotations, one XML file an image.

    The image ``2007_000032`` has the classes named in
    ``<ann_dir>/2007_000032.xml`` under ``object/name``.

    Args:
        ann_dir (str): Folder of the XML files, ``Annotations`` of VOC.
        with_difficult (bool): Whether objects marked ``difficult`` count.
            Defaults to True, the rule of the label file that IRN and LPCAM
            ship.
    """

    def __init__(self, ann_dir: str, with_difficult: bool = True) -> None:
        self.ann_dir = ann_dir
        self.with_difficult = with_difficult

    def load(self, image_ids: list[str], classes: tuple[str, ...]) -> Labels:
        """See :meth:`ImageLabelSource.load`."""
        folder = _existing(self.ann_dir, 'VOCXMLLabels: ann_dir', folder=True)
        labeller = _Labeller(classes)
        labels, unknown = {}, []
        for image_id in image_ids:
            path = folder / f'{image_id}.xml'
            try:
                root = ElementTree.parse(path).getroot()
            except FileNotFoundError:
                unknown.append(image_id)
                continue
            except ElementTree.ParseError as error:
                raise ValueError(f'{path}: not valid XML: {error}') from error
            names = [(item.findtext('name') or '').strip()
                     for item in root.iterfind('object')
                     if self.with_difficult or (
                         item.findtext('difficult') or '0').strip() != '1']
            labels[image_id] = labeller(names, str(path))
        _check_known(unknown, len(image_ids), f'ann_dir {str(folder)!r}',
                     'Expected one <image id>.xml for each.')
        return labels


@TASK_UTILS.register_module()
class COCOJSONLabels(ImageLabelSource):
    """Labels from a COCO instances file.

    Images are found by ``file_name`` without extension, or by its stem alone
    if that is unique; categories are matched to classes by *name*. An image
    of the file without annotations has no label.

    Args:
        ann_file (str): Instances JSON.
        with_crowd (bool): Whether annotations with ``iscrowd=1`` count.
            Defaults to True, as in the official LPCAM labels.
        ignore_unknown (bool): Whether to leave out objects whose category is
            not among the classes, for a subset of the categories. Defaults to
            False: such an object is an error.
    """

    def __init__(self,
                 ann_file: str,
                 with_crowd: bool = True,
                 *,
                 ignore_unknown: bool = False) -> None:
        self.ann_file = ann_file
        self.with_crowd = with_crowd
        self.ignore_unknown = ignore_unknown

    def load(self, image_ids: list[str], classes: tuple[str, ...]) -> Labels:
        """See :meth:`ImageLabelSource.load`."""
        path = _existing(self.ann_file, 'COCOJSONLabels: ann_file')
        data = _read_json(path)
        for key in ('images', 'annotations', 'categories'):
            if not isinstance(data, dict) or key not in data:
                raise ValueError(
                    f'{path}: expected a COCO instances file, an object with '
                    f"'images', 'annotations' and 'categories'; {key!r} is "
                    'missing.')
        tags = defaultdict(set)
        for item in data['annotations']:
            if self.with_crowd or not item.get('iscrowd', 0):
                tags[item['image_id']].add(item['category_id'])
        names = {item['id']: item['name'] for item in data['categories']}
        if self.ignore_unknown:
            names = {i: name for i, name in names.items() if name in classes}

        known = set(image_ids)
        by_id, by_stem = {}, defaultdict(list)
        for item in data['images']:
            image_id = to_image_id(item['file_name'], known)
            by_id[image_id] = item['id']
            by_stem[posixpath.basename(image_id)].append(item['id'])

        labeller = _Labeller(classes)
        labels, unknown = {}, []
        for image_id in image_ids:
            same_stem = by_stem.get(posixpath.basename(image_id), [])
            if image_id in by_id:
                coco_id = by_id[image_id]
            elif len(same_stem) == 1:
                coco_id = same_stem[0]
            else:
                unknown.append(image_id)
                continue
            where = f'{path}, image {image_id!r}'
            found = []
            for category in tags.get(coco_id, ()):
                if category in names:
                    found.append(names[category])
                elif not self.ignore_unknown:
                    raise ValueError(f'{where}: category_id {category} is '
                                     "not in 'categories'.")
            labels[image_id] = labeller(found, where)
        _check_known(
            unknown, len(image_ids), f'ann_file {str(path)!r}',
            "Expected an 'images' entry with this file_name (or a unique "
            'stem) for each: is it the file of another split?')
        return labels


class _TagTable:
    """Collect rows ``image -> tags`` of the images asked for."""

    def __init__(self, image_ids: list[str], labeller: _Labeller) -> None:
        self.ids = set(image_ids)
        self.labeller = labeller
        self.labels: Labels = {}
        self.seen: dict[str, str] = {}

    def add(self, key: str, tags: Iterable[Any], where: str) -> None:
        image_id = to_image_id(key, self.ids)
        if image_id not in self.ids:  # of another split
            return
        if image_id in self.seen:
            raise ValueError(
                f'{where}: image {image_id!r} was already given in '
                f'{self.seen[image_id]}. Keep one of the two.')
        self.seen[image_id] = where
        self.labels[image_id] = self.labeller(tags, where)

    def finish(self, image_ids: list[str], source: str, advice: str) -> Labels:
        unknown = [i for i in image_ids if i not in self.labels]
        _check_known(unknown, len(image_ids), source, advice)
        return self.labels


@TASK_UTILS.register_module()
class CSVLabels(ImageLabelSource):
    """Labels from a table: the image in the first column, then its tags.

    All of these are valid, with or without a header line::

        photo1.jpg,cat;dog
        sub/photo2,cat,dog
        photo3.jpg,

    The last image shows no class. Rows of images that are not in the dataset
    are skipped, so one file can serve all splits; that is also why a header
    needs no option.

    Args:
        csv_file (str): Text file in UTF-8, with or without a BOM.
        sep (str): What separates tags inside a column. Defaults to ';'.
        delimiter (str): What separates columns. Defaults to ','.
        as_index (bool): Whether the tags are 0-based foreground indices
            instead of names. Defaults to False.
    """

    def __init__(self,
                 csv_file: str,
                 sep: str = ';',
                 *,
                 delimiter: str = ',',
                 as_index: bool = False) -> None:
        if not sep:
            raise ValueError('CSVLabels: sep must not be empty.')
        self.csv_file = csv_file
        self.sep = sep
        self.delimiter = delimiter
        self.as_index = as_index

    def load(self, image_ids: list[str], classes: tuple[str, ...]) -> Labels:
        """See :meth:`ImageLabelSource.load`."""
        table = _TagTable(image_ids, _Labeller(classes, self.as_index))
        for line, name, tags in self.rows():
            table.add(name, tags, f'{self.csv_file}, line {line}')
        return table.finish(
            image_ids, f'csv_file {str(self.csv_file)!r}',
            f'Expected rows like "photo1.jpg{self.delimiter}'
            f'tag{self.sep}tag"; write the image name without the image '
            'folder, and set delimiter if columns are not separated by '
            f'{self.delimiter!r}.')

    def rows(self) -> Iterator[tuple[int, str, list[str]]]:
        """Read the table row by row, the header line and unknown images too.

        Yields:
            tuple[int, str, list[str]]: Line number, from 1; first cell as it
            is written; tags.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is no CSV file in UTF-8.
        """
        path = _existing(self.csv_file, 'CSVLabels: csv_file')
        try:
            # utf-8-sig drops the BOM that spreadsheets write
            with path.open(encoding='utf-8-sig', newline='') as file:
                rows = csv.reader(file, delimiter=self.delimiter)
                for row in filter(None, rows):
                    tags = [
                        tag.strip() for cell in row[1:]
                        for tag in cell.split(self.sep)
                    ]
                    yield rows.line_num, row[0], list(filter(None, tags))
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(
                f'{path}: not a CSV file in UTF-8: {error}') from error


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build a JSON object, refusing keys that appear twice."""
    result = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f'the key {key!r} appears twice')
        result[key] = value
    return result


@TASK_UTILS.register_module()
class JSONLabels(ImageLabelSource):
    """Labels from a JSON object ``{"photo1.jpg": ["cat", "dog"], ...}``.

    Keys are image ids or file names; an empty list means no class. Entries of
    images that are not in the dataset are skipped.

    Args:
        json_file (str): The JSON file.
        as_index (bool): Whether the tags are 0-based foreground indices
            instead of names. Defaults to False.
    """

    def __init__(self, json_file: str, as_index: bool = False) -> None:
        self.json_file = json_file
        self.as_index = as_index

    def load(self, image_ids: list[str], classes: tuple[str, ...]) -> Labels:
        """See :meth:`ImageLabelSource.load`."""
        path = _existing(self.json_file, 'JSONLabels: json_file')
        data = _read_json(path, _unique_pairs)
        if not isinstance(data, dict):
            raise ValueError(f'{path}: expected an object {{"image": '
                             f'["class", ...]}}, got {type(data).__name__}.')
        table = _TagTable(image_ids, _Labeller(classes, self.as_index))
        for key, tags in data.items():
            where = f'{path}, entry {key!r}'
            if not isinstance(tags, list):
                raise ValueError(f'{where}: expected a list of classes, got '
                                 f'{tags!r}.')
            table.add(key, tags, where)
        return table.finish(
            image_ids, f'json_file {str(path)!r}',
            'Expected a key for each: the image path relative to the image '
            'folder, with or without extension.')


@TASK_UTILS.register_module()
class FolderLabels(ImageLabelSource):
    """Labels from a folder per class: ``<img_path>/<class name>/photo.jpg``.

    Each image has the one class that its first folder names.
    """

    def load(self, image_ids: list[str], classes: tuple[str, ...]) -> Labels:
        """See :meth:`ImageLabelSource.load`."""
        labeller = _Labeller(classes)
        unknown = [i for i in image_ids if '/' not in i]
        _check_known(
            unknown, len(image_ids), 'a class folder',
            'FolderLabels expects <image folder>/<class name>/<image>: is '
            "data_prefix['img_path'] the folder above the class folders?")
        return {
            image_id:
            labeller([image_id.split('/', 1)[0]],
                     f'FolderLabels, image {image_id!r}')
            for image_id in image_ids
        }


# ``cls_labels.npy`` holds a pickle. Allowing NumPy's own reconstruction
# functions would not make it safe: ``dtype.__setstate__`` takes flags that
# turn bytes into object pointers. These stand-ins read the same stream and
# build arrays from plain buffers only.


class _Dtype:

    def __init__(self, code: str, align: Any = False, copy: Any = True):
        if not re.fullmatch(r'[biufOSU]\d+', code):
            raise pickle.UnpicklingError(f'dtype {code!r} is not allowed')
        self.code, self.order = code, '|'

    def __setstate__(self, state: tuple) -> None:
        self.order = str(state[1])

    def numpy(self) -> np.dtype:
        return np.dtype(self.order + self.code)


class _Array:
    value: Any = None

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, is_fortran, data = state
        if dtype.numpy().hasobject:
            if shape != () or not isinstance(data, list):
                raise pickle.UnpicklingError(
                    'arrays of objects are not allowed')
            self.value = data[0]
        else:
            self.value = np.frombuffer(data, dtype.numpy()).reshape(
                shape, order='F' if is_fortran else 'C')


def _reconstruct(subtype: type, shape: tuple, code: bytes) -> _Array:
    return _Array()


def _scalar(dtype: _Dtype, data: bytes) -> Any:
    if dtype.numpy().hasobject:
        raise pickle.UnpicklingError('object scalars are not allowed')
    return np.frombuffer(data, dtype.numpy())[0]


def _encode(text: str, encoding: str) -> bytes:
    if encoding != 'latin1':  # the only one pickle writes for bytes
        raise pickle.UnpicklingError(f'encoding {encoding!r} is not allowed')
    return text.encode('latin1')


class _LabelUnpickler(pickle.Unpickler):
    """Read dicts, numbers, strings and NumPy arrays, and nothing else."""

    _ALLOWED = {
        ('numpy', 'ndarray'): _Array,
        ('numpy', 'dtype'): _Dtype,
        ('numpy.core.multiarray', '_reconstruct'): _reconstruct,
        ('numpy._core.multiarray', '_reconstruct'): _reconstruct,
        ('numpy.core.multiarray', 'scalar'): _scalar,
        ('numpy._core.multiarray', 'scalar'): _scalar,
        ('_codecs', 'encode'): _encode,
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f'it asks for {module}.{name}, which a label file has no use '
                'for') from None


def _read_npy(file: BinaryIO) -> Any:
    """Read an array, or the one object that ``np.save`` pickled."""
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0
    }
    version = np.lib.format.read_magic(file)
    if version not in readers:
        raise ValueError(f'npy format version {version} is not supported')
    _, _, dtype = readers[version](file)
    if dtype.hasobject:
        content = _LabelUnpickler(file).load()
        return content.value if isinstance(content, _Array) else content
    file.seek(0)
    return np.load(file, allow_pickle=False)


def _number(image_id: str) -> int | None:
    """Return the number an image goes by in VOC and COCO label files."""
    stem = posixpath.basename(image_id)
    if re.fullmatch(r'\d{4}_\d{6}', stem):  # VOC: 2007_000032
        return int(stem.replace('_', ''))
    match = re.search(r'\d+$', stem)
    return int(match.group()) if match else None


@TASK_UTILS.register_module()
class NPYLabels(ImageLabelSource):
    """Labels from the ``.npy`` files that the official codes ship.

    Either a pickled dict ``{id: vector}`` (``cls_labels.npy`` of IRN, LPCAM,
    AMN, MCTformer) or a plain array ``(N, C)`` with one row an image in the
    order of the image numbers (``train_labels.npy`` of LPCAM on COCO). A
    vector has one value per foreground class; the class is present where it
    is greater than 0.

    Ids are strings (image id or file name), or integers: VOC's
    ``2007_000032`` goes by 2007000032, and COCO's
    ``COCO_train2014_000000000009`` by 9.

    The pickle is read by a restricted reader that knows dicts, numbers,
    strings and arrays; a file that holds anything else is refused, and
    nothing in it is run.

    Args:
        npy_file (str): The ``.npy`` file.
    """

    def __init__(self, npy_file: str) -> None:
        self.npy_file = npy_file

    def load(self, image_ids: list[str], classes: tuple[str, ...]) -> Labels:
        """See :meth:`ImageLabelSource.load`."""
        path = _existing(self.npy_file, 'NPYLabels: npy_file')
        try:
            with path.open('rb') as file:
                content = _read_npy(file)
        except Exception as error:  # a broken pickle can raise anything
            raise ValueError(
                f'{path}: refused, it is not a plain .npy label file: '
                f'{error}. Write the labels as CSV or JSON, or as an array '
                'with np.save.') from error
        if isinstance(content, dict):
            vectors = self._match(path, content, image_ids)
        elif isinstance(content, np.ndarray):
            vectors = self._sort(path, content, image_ids)
        else:
            raise ValueError(f'{path}: expected a dict {{id: vector}} or an '
                             f'array (N, C), got {type(content).__name__}.')

        labels = {}
        for image_id, vector in vectors.items():
            if isinstance(vector, _Array):
                vector = vector.value
            if (not isinstance(vector, np.ndarray)
                    or vector.dtype.kind not in 'biuf'
                    or vector.shape != (len(classes), )):
                raise ValueError(
                    f'{path}, image {image_id!r}: expected one number for '
                    f'each of the {len(classes)} foreground classes, got '
                    f'{type(vector).__name__} of shape '
                    f'{getattr(vector, "shape", None)}.')
            labels[image_id] = tuple(np.flatnonzero(vector > 0).tolist())
        return labels

    @staticmethod
    def _numbers(path: Path, image_ids: list[str]) -> dict[int, str]:
        """Map the number of each image that has one to its id."""
        result: dict[int, str] = {}
        for image_id in image_ids:
            number = _number(image_id)
            if number is not None and result.setdefault(number,
                                                        image_id) != image_id:
                raise ValueError(
                    f'{path}: its entries go by number, but the images '
                    f'{result[number]!r} and {image_id!r} share the number '
                    f'{number}. Use a label file with names (CSV or JSON).')
        return result

    def _match(self, path: Path, content: dict,
               image_ids: list[str]) -> dict[str, Any]:
        """Find the vector of each image in a dict."""
        known = set(image_ids)
        names = {
            to_image_id(key, known): value
            for key, value in content.items() if isinstance(key, str)
        }
        vectors = {i: names[i] for i in image_ids if i in names}
        if len(names) < len(content):
            numbers = {
                int(key): value
                for key, value in content.items()
                if isinstance(key, int | np.integer)
            }
            for number, image_id in self._numbers(path, image_ids).items():
                if number in numbers:
                    vectors.setdefault(image_id, numbers[number])
        _check_known([i for i in image_ids if i not in vectors],
                     len(image_ids), f'npy_file {str(path)!r}',
                     f'Its {len(content)} keys look like '
                     f'{listed(list(content), 2)}.')
        return vectors

    def _sort(self, path: Path, content: np.ndarray,
              image_ids: list[str]) -> dict[str, np.ndarray]:
        """Give the rows of an array to the images in numeric order."""
        numbers = self._numbers(path, image_ids)
        if len(numbers) < len(image_ids):
            nameless = [i for i in image_ids if _number(i) is None]
            raise ValueError(
                f'{path}: the rows of an array follow the image numbers, but '
                f'{len(nameless)} image names do not end with one: '
                f'{listed(nameless)}. Use a label file with names.')
        if content.ndim != 2 or len(content) != len(image_ids):
            raise ValueError(
                f'{path}: expected an array ({len(image_ids)}, C) with one '
                f'row for each image of the dataset, got {content.shape}. '
                'An array only fits the complete list it was made for.')
        return {
            numbers[number]: row
            for number, row in zip(sorted(numbers), content)
        }
