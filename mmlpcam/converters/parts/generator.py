"""Draw the *parts* dataset: small scenes that make a plain CAM fail.

Every object is a small **telling part**, the same for all objects of its
class, and a large **body**, whose coat and colour only lean towards the
class: most are dressed as usual, a few as any other class. The part is what
a classifier looks for, so the class activation map of its weights peaks
there; the body answers weakly and falls below the threshold. In one of eight
objects the part is turned away, as heads are in photos, which is why bodies
are learned at all. Each class also has a favourite background, so there is
context to confuse an object with.

Nothing here needs torch, a network or a download. An image depends on the
seed, the split and its own index only.
"""
import json
import os
import os.path as osp
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from mmlpcam.datasets.parts import PALETTE
from .drawing import SPLITS, PartsSample, draw_parts_sample

SETTINGS_FILE = 'parts_dataset.json'

# A change of anything that is drawn must raise this number, so that folders
# of an older generator are told apart.
_VERSION = 1
_JPEG_QUALITY = 92
_MIN_SIDE = 48
_MAX_SIDE = 4096


@dataclass(frozen=True)
class PartsSettings:
    """What decides every byte of a generated dataset.

    Args:
        num_train (int): Number of training images, at least 1.
            Defaults to 360.
        num_val (int): Number of validation images, at least 1.
            Defaults to 60.
        size (tuple[int, int]): Image size as ``(H, W)`` in pixels, each in
            [48, 4096]. Defaults to (128, 128).
        seed (int): Seed of all random draws, not negative. Defaults to 0.

    Raises:
        TypeError: If a value is not an integer or ``size`` not a pair.
        ValueError: If a value is out of its range.
    """

    num_train: int = 360
    num_val: int = 60
    size: tuple[int, int] = (128, 128)
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.size, (tuple, list)) or len(self.size) != 2:
            raise TypeError('`size` must be a pair (H, W) of integers, but '
                            f'but got {self.size!r}')
        object.__setattr__(self, 'size', tuple(self.size))
        for name, value in (('num_train', self.num_train),
                            ('num_val', self.num_val), ('seed', self.seed),
                            ('size', self.size[0]), ('size', self.size[1])):
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f'`{name}` must consist of integers, but got '
                                f'{value!r} of type {type(value).__name__}')
        for name in ('num_train', 'num_val'):
            if getattr(self, name) < 1:
                raise ValueError(f'`{name}` must be at least 1, but got '
                                 f'{getattr(self, name)}')
        if self.seed < 0:
            raise ValueError(f'`seed` must not be negative, but got '
                             f'{self.seed}')
        if not all(_MIN_SIDE <= side <= _MAX_SIDE for side in self.size):
            raise ValueError(
                f'both sides of `size` must lie in [{_MIN_SIDE}, '
                f'{_MAX_SIDE}] pixels, but got (H, W) = {self.size}')

    def num_images(self, split: str) -> int:
        """Return the number of images of a split.

        Args:
            split (str): 'train' or 'val'.

        Returns:
            int: Number of images.
        """
        return {'train': self.num_train, 'val': self.num_val}[split]


def _voc_xml(name: str, sample: PartsSample) -> bytes:
    """Return the annotation of one image as VOC writes it."""
    root = ElementTree.Element('annotation')

    def add(parent: ElementTree.Element,
            tag: str,
            text: object = None) -> ElementTree.Element:
        child = ElementTree.SubElement(parent, tag)
        child.text = None if text is None else str(text)
        return child

    height, width = sample.mask.shape
    add(root, 'folder', 'parts')
    add(root, 'filename', f'{name}.jpg')
    size = add(root, 'size')
    add(size, 'width', width)
    add(size, 'height', height)
    add(size, 'depth', 3)
    add(root, 'segmented', 1)
    for obj in sample.objects:
        node = add(root, 'object')
        add(node, 'name', obj.name)
        add(node, 'pose', 'Unspecified')
        add(node, 'truncated', int(obj.truncated))
        add(node, 'difficult', 0)
        box = add(node, 'bndbox')
        for tag, value in zip(('xmin', 'ymin', 'xmax', 'ymax'), obj.bbox):
            add(box, tag, value + 1)  # VOC counts pixels from 1
    ElementTree.indent(root, space='\t')
    return ElementTree.tostring(root, encoding='utf-8') + b'\n'


def save_palette_png(mask: np.ndarray, path: str) -> None:
    """Write a mask as a palette PNG, as PASCAL VOC does.

    Args:
        mask (np.ndarray): Class of each pixel, ``(H, W)`` uint8.
        path (str): File to write.
    """
    image = Image.fromarray(mask)
    image.putpalette([level for color in PALETTE for level in color])
    image.save(path, format='PNG')


def _read_settings(folder: str) -> dict | None:
    """Return the settings a folder was made with, None where unreadable."""
    try:
        with open(osp.join(folder, SETTINGS_FILE), encoding='utf-8') as file:
            found = json.load(file)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _as_json(settings: PartsSettings) -> dict:
    return dict(
        generator='mmlpcam parts',
        version=_VERSION,
        **{
            **asdict(settings), 'size': list(settings.size)
        })


def _image_name(split: str, index: int) -> str:
    return f'{split}_{index:05d}'


def _first_missing(folder: str, found: dict) -> str | None:
    """Return a file that a dataset lacks, None where it is complete."""
    for split in SPLITS:
        paths = [osp.join('ImageSets', 'Segmentation', f'{split}.txt')]
        for index in range(found[f'num_{split}']):
            name = _image_name(split, index)
            paths += [
                osp.join('JPEGImages', f'{name}.jpg'),
                osp.join('Annotations', f'{name}.xml'),
                osp.join('SegmentationClass', f'{name}.png')
            ]
        for path in paths:
            if not osp.isfile(osp.join(folder, path)):
                return path
    return None


def _needs_making(out_dir: str, wanted: dict, overwrite: bool) -> bool:
    """Tell whether to generate, or raise if ``out_dir`` is in the way."""
    if not osp.lexists(out_dir):
        return True
    if not osp.isdir(out_dir):
        raise NotADirectoryError(
            f'the output must be a folder, but {out_dir!r} is a file; choose '
            'another folder')
    if not os.listdir(out_dir):
        return True
    found = _read_settings(out_dir)
    if found is None or found.get('generator') != wanted['generator']:
        # Never wipe a folder that this generator has not made.
        raise FileExistsError(
            f'{out_dir!r} is not empty and holds no {SETTINGS_FILE} of this '
            'generator, so it is left alone; choose another folder')
    if overwrite:
        return True
    if found == wanted:
        missing = _first_missing(out_dir, found)
        if missing is None:
            return False
        raise FileExistsError(
            f'{out_dir!r} holds this dataset, but {missing!r} is missing; '
            'pass --overwrite (overwrite=True) to make it anew')
    differing = [
        f'{key}: {found.get(key)!r} there, {value!r} asked for'
        for key, value in wanted.items() if found.get(key) != value
    ]
    raise FileExistsError(
        f'{out_dir!r} holds a dataset of other settings '
        f'({"; ".join(differing)}); pass --overwrite (overwrite=True) to '
        'replace it or choose another folder')


def _write(folder: str, settings: PartsSettings, wanted: dict,
           track: Callable[[list], Iterable]) -> None:
    names: dict[str, list[str]] = {split: [] for split in SPLITS}
    for sub in ('JPEGImages', 'Annotations', 'SegmentationClass',
                'ImageSets/Segmentation'):
        os.makedirs(osp.join(folder, sub))
    tasks = [(split, index) for split in SPLITS
             for index in range(settings.num_images(split))]
    for split, index in track(tasks):
        sample = draw_parts_sample(
            settings.seed, split, index, size=settings.size)
        name = _image_name(split, index)
        names[split].append(name)
        Image.fromarray(sample.image).save(
            osp.join(folder, 'JPEGImages', f'{name}.jpg'),
            format='JPEG',
            quality=_JPEG_QUALITY)
        save_palette_png(sample.mask,
                         osp.join(folder, 'SegmentationClass', f'{name}.png'))
        with open(osp.join(folder, 'Annotations', f'{name}.xml'), 'wb') as xml:
            xml.write(_voc_xml(name, sample))
    for split in SPLITS:
        path = osp.join(folder, 'ImageSets', 'Segmentation', f'{split}.txt')
        with open(path, 'w', encoding='utf-8', newline='\n') as file:
            file.writelines(f'{name}\n' for name in names[split])
    path = osp.join(folder, SETTINGS_FILE)
    with open(path, 'w', encoding='utf-8', newline='\n') as file:
        json.dump(wanted, file, indent=2)
        file.write('\n')


def make_parts_dataset(
        out_dir: str | os.PathLike,
        settings: PartsSettings | None = None,
        *,
        overwrite: bool = False,
        track: Callable[[list], Iterable] | None = None) -> bool:
    """Write the dataset in the folder layout of PASCAL VOC.

    Images go to ``JPEGImages``, boxes to ``Annotations``, masks (values 0 to
    5, no ignored pixels) to ``SegmentationClass`` and the lists to
    ``ImageSets/Segmentation``. All is written into a temporary folder beside
    ``out_dir`` and renamed at the end, so that an interrupted run leaves
    nothing half.

    Args:
        out_dir (str | os.PathLike): Folder to make; its parents are made
            where missing.
        settings (PartsSettings, optional): What to draw. Defaults to None,
            which means ``PartsSettings()``.
        overwrite (bool): Whether to make a dataset of this generator that
            is there already anew. Other folders are never replaced.
            Defaults to False.
        track (Callable, optional): Wraps the list of images to draw, for
            instance in a progress bar. Defaults to None.

    Returns:
        bool: False if ``out_dir`` holds the very same dataset already and
        was left alone, else True.

    Raises:
        FileExistsError: If ``out_dir`` holds a dataset of other settings or
            one that lacks files, and ``overwrite`` is not set, or if it
            holds anything else.
        NotADirectoryError: If ``out_dir`` is a file.
        OSError: If ``out_dir`` cannot be written.
    """
    settings = settings or PartsSettings()
    out_dir = osp.realpath(os.fspath(out_dir))  # keeps a link a link
    wanted = _as_json(settings)
    if not _needs_making(out_dir, wanted, overwrite):
        return False

    parent, base = osp.split(out_dir)
    try:
        os.makedirs(parent, exist_ok=True)
        temp_dir = tempfile.mkdtemp(prefix=f'.{base}.', dir=parent)
    except OSError as error:
        raise type(error)(
            error.errno, f'the dataset cannot be written to {out_dir!r} '
            f'({error.strerror}); choose a folder you may write to') from error
    try:
        made = osp.join(temp_dir, 'new')
        os.mkdir(made)
        _write(made, settings, wanted, track or iter)
        old = osp.join(temp_dir, 'old')
        if osp.isdir(out_dir):
            os.rename(out_dir, old)
        try:
            os.rename(made, out_dir)
        except BaseException:
            if osp.isdir(old):
                os.rename(old, out_dir)
            raise
    finally:
        shutil.rmtree(temp_dir, ignore_errors=True)
    return True
