"""What is given to be predicted: folders, files and arrays."""
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmlpcam.datasets import PhotoFolderDataset, SegDatasetWrapper
from mmlpcam.utils.photos import read_photo

InputType = str | os.PathLike | np.ndarray
InputsType = InputType | Sequence[InputType]


class PhotoInput(NamedTuple):
    """A photo to predict.

    Attributes:
        name (str): What its files are called: its path below the folder,
            or the folder that all files have in common, without extension;
            of an array, its number with eight digits.
        source (str | np.ndarray): Path of the photo, or its pixels (H, W, 3)
            uint8, BGR.
    """
    name: str
    source: str | np.ndarray

    def read(self) -> np.ndarray:
        """Return the pixels.

        Returns:
            np.ndarray: (H, W, 3) uint8, BGR.

        Raises:
            OSError: If the file cannot be opened.
            ValueError: If it is damaged or no photo, or the array is none.
        """
        if not isinstance(self.source, np.ndarray):
            return read_photo(self.source)
        if (self.source.dtype != np.uint8 or self.source.ndim != 3
                or self.source.shape[2] != 3 or not self.source.size):
            raise ValueError(
                f'array {self.name} is {self.source.dtype} of shape '
                f'{self.source.shape}: expected a photo (H, W, 3) uint8, BGR')
        return self.source


def find_photos(inputs: InputsType,
                out_dir: str | os.PathLike = '') -> list[PhotoInput]:
    """List the photos of a folder, or name those of a list.

    Args:
        inputs (str | os.PathLike | np.ndarray | Sequence): A folder, of
            which all photos are taken, also in folders inside, in the order
            of their names; a photo, as path or pixels; or a list of photos.
        out_dir (str | os.PathLike): Where results go. If it lies in the
            folder, masks and pictures in it are no photos. Defaults to '':
            nowhere.

    Returns:
        list[PhotoInput]: The photos. None of the files has been opened.

    Raises:
        FileNotFoundError: If a folder is missing.
        TypeError: If an input is none of the above.
        ValueError: If there is no photo, two have one name, or `out_dir` is
            the folder of the photos itself.
    """
    if isinstance(inputs, str | os.PathLike) and not Path(inputs).is_file():
        folder = SegDatasetWrapper(
            PhotoFolderDataset(dict(img_path=str(inputs))), check_files=False)
        infos = map(folder.get_data_info, range(len(folder)))
        results = _results_in(inputs, out_dir)
        return [
            PhotoInput(info['image_id'], info['img_path']) for info in infos
            if not info['image_id'].startswith(results)
        ]
    sources = [inputs] if isinstance(inputs, str | os.PathLike
                                     | np.ndarray) else list(inputs)
    for source in sources:
        if not isinstance(source, str | os.PathLike | np.ndarray):
            raise TypeError('expected paths of photos or arrays (H, W, 3), '
                            f'but got {type(source).__name__}')
    if not sources:
        raise ValueError('there is no photo in an empty list')
    paths = [
        Path(source).absolute() for source in sources
        if not isinstance(source, np.ndarray)
    ]
    above = os.path.commonpath([path.parent
                                for path in paths]) if paths else ''
    found: dict[str, PhotoInput] = {}
    for index, source in enumerate(sources):
        if isinstance(source, np.ndarray):
            photo = PhotoInput(f'{index:08d}', source)
        else:
            path = Path(source).absolute()
            name = path.relative_to(above).with_suffix('').as_posix()
            photo = PhotoInput(name, str(source))
        if photo.name in found:
            raise ValueError(
                f'input {index}: two photos have the name {photo.name!r}, by '
                'which their results are filed: leave one out, or rename it')
        found[photo.name] = photo
    return list(found.values())


def _results_in(folder: str | os.PathLike,
                out_dir: str | os.PathLike) -> tuple[str, ...]:
    """Return what the names of earlier results in a folder begin with."""
    if not str(out_dir):
        return ()
    below = Path(
        os.path.relpath(os.path.realpath(out_dir),
                        os.path.realpath(folder))).as_posix()
    if below == '.':
        raise ValueError(f'{folder} holds the photos: results need a folder '
                         'of their own')
    return f'{below}/masks/', f'{below}/pictures/'
