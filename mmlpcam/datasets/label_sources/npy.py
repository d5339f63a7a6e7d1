import pickle
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from mmseg.registry import TASK_UTILS

from mmlpcam.utils.names import listed
from .base import ImageLabelSource, Labels
from .image_finder import ImageFinder, check_all_labeled
from .label_files import existing_path

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

    def files(self, images: Mapping[str, str]) -> Iterable[str | Path]:
        """See :meth:`ImageLabelSource.files`."""
        return [self.npy_file]

    def load(self, images: Mapping[str, str],
             classes: Sequence[str]) -> Labels:
        """See :meth:`ImageLabelSource.load`."""
        path = existing_path(self.npy_file, 'NPYLabels: npy_file')
        try:
            with path.open('rb') as file:
                content = _read_npy(file)
        except Exception as error:  # a broken pickle can raise anything
            raise ValueError(
                f'{path}: refused, it is not a plain .npy label file: '
                f'{error}. Write the labels as CSV or JSON, or as an array '
                'with np.save') from error
        if isinstance(content, dict):
            vectors = self._match(path, content, list(images))
        elif isinstance(content, np.ndarray):
            vectors = self._sort(path, content, list(images))
        else:
            raise ValueError(f'{path}: expected a dict {{id: vector}} or an '
                             f'array (N, C), but got {type(content).__name__}')

        labels = {}
        for image_id, vector in vectors.items():
            if isinstance(vector, _Array):
                vector = vector.value
            if (not isinstance(vector, np.ndarray)
                    or vector.dtype.kind not in 'biuf'
                    or vector.shape != (len(classes), )):
                raise ValueError(
                    f'{path}, image {image_id!r}: expected one number for '
                    f'each of the {len(classes)} foreground classes, but got '
                    f'{type(vector).__name__} of shape '
                    f'{getattr(vector, "shape", None)}')
            if not np.isfinite(vector).all() or (vector < 0).any():
                raise ValueError(
                    f'{path}, image {image_id!r}: expected 0 where a class is '
                    'absent and a positive number where it is present, but '
                    f'got {vector.tolist()}')
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
                    f'{number}. Use a label file with names (CSV or JSON)')
        return result

    def _match(self, path: Path, content: dict,
               image_ids: list[str]) -> dict[str, Any]:
        """Find the vector of each image in a dict."""
        finder = ImageFinder(image_ids)
        vectors: dict[str, Any] = {}
        numbers: dict[int, Any] = {}
        for key, vector in content.items():
            where = f'{path}, entry {key!r}'
            if isinstance(key, str):
                image_id = finder.find(key, where)
                if image_id in vectors:
                    raise ValueError(f'{where}: image {image_id!r} has two '
                                     'entries. Keep one of the two')
                if image_id is not None:
                    vectors[image_id] = vector
            elif isinstance(key, int | np.integer):
                numbers[int(key)] = vector
            else:
                raise ValueError(f'{where}: expected an image id or number')
        if numbers:
            for number, image_id in self._numbers(path, image_ids).items():
                if number not in numbers:
                    continue
                if image_id in vectors:
                    raise ValueError(
                        f'{path}: image {image_id!r} has two entries, by name '
                        f'and by the number {number}. Keep one of the two')
                vectors[image_id] = numbers[number]
        check_all_labeled(
            vectors, image_ids, f'npy_file {str(path)!r}',
            f'Its {len(content)} keys look like {listed(list(content), 2)}',
            [key for key in content if isinstance(key, str)])
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
                f'{listed(nameless)}. Use a label file with names')
        if content.ndim != 2 or len(content) != len(image_ids):
            raise ValueError(
                f'{path}: expected an array ({len(image_ids)}, C) with one '
                f'row for each image of the dataset, but got {content.shape}. '
                'An array only fits the complete list it was made for')
        return {
            numbers[number]: row
            for number, row in zip(sorted(numbers), content)
        }
