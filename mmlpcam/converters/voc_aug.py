"""PASCAL VOC 2012 `train_aug`: VOC's training images and those of SBD.

SBD, the Semantic Boundaries Dataset (Hariharan et al., ICCV 2011), has masks
for most photos of PASCAL VOC 2011. The field trains on the images that are in
the `train` list of VOC or in one of SBD's lists, but not in the `val` list of
VOC: 10 582. Photos and XML annotations of all of them come with VOC.
"""
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import loadmat

from mmlpcam.utils.files import atomic_path, reading
from mmlpcam.utils.masks import read_index_mask, write_index_mask
from mmlpcam.utils.names import check_inside, listed
from mmlpcam.utils.parallel import Track, parallel_map, write_missing

NUM_IMAGES = 10582
"""int: Number of images of the complete `train_aug`."""

SPLIT_SIZES = {
    'VOC train': 1464,
    'VOC val': 1449,
    'SBD train': 8498,
    'SBD val': 2857
}
"""dict[str, int]: Number of images of each complete list."""

LIST_FILE = Path('ImageSets', 'Segmentation', 'train_aug.txt')
MASK_FOLDER = 'SegmentationClassAug'
NUM_CLASSES = 21
IGNORE_INDEX = 255


def read_splits(voc_dir: str | Path,
                sbd_dir: str | Path) -> dict[str, list[str]]:
    """Read the lists that `train_aug` is made from.

    Args:
        voc_dir (str | Path): Folder ``VOCdevkit/VOC2012``.
        sbd_dir (str | Path): Folder ``benchmark_RELEASE/dataset``.

    Returns:
        dict[str, list[str]]: Image ids of each key of :data:`SPLIT_SIZES`.

    Raises:
        FileNotFoundError: If a list is missing.
        ValueError: If an id leads out of the folders of images and masks.
    """
    sets = Path(voc_dir, 'ImageSets', 'Segmentation')
    files = [
        sets / 'train.txt', sets / 'val.txt',
        Path(sbd_dir, 'train.txt'),
        Path(sbd_dir, 'val.txt')
    ]
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(
                f'{str(file)!r} does not exist: the folder of VOC should be '
                'VOCdevkit/VOC2012, the one of SBD benchmark_RELEASE/dataset')
    splits = {}
    for name, file in zip(SPLIT_SIZES, files):
        with reading(file, 'list of images in UTF-8'):
            splits[name] = file.read_text(encoding='utf-8').split()
        for image_id in splits[name]:
            check_inside(Path(voc_dir, MASK_FOLDER), image_id, str(file))
    return splits


def train_aug_ids(splits: dict[str, list[str]]) -> list[str]:
    """Return the ids of `train_aug`.

    Args:
        splits (dict[str, list[str]]): See :func:`read_splits`.

    Returns:
        list[str]: (VOC train + SBD train + SBD val) - VOC val, sorted.
    """
    ids = {*splits['VOC train'], *splits['SBD train'], *splits['SBD val']}
    return sorted(ids - set(splits['VOC val']))


def write_list(voc_dir: str | Path,
               ids: list[str],
               *,
               overwrite: bool = False) -> bool:
    """Write ``ImageSets/Segmentation/train_aug.txt``.

    Args:
        voc_dir (str | Path): Folder ``VOCdevkit/VOC2012``.
        ids (list[str]): Image ids.
        overwrite (bool): Whether to replace a list of other images.
            Defaults to False.

    Returns:
        bool: False if the list is there already, in whatever order.

    Raises:
        FileExistsError: If a list of other images is there.
    """
    path = Path(voc_dir, LIST_FILE)
    if path.exists():
        with reading(path, 'list of images in UTF-8'):
            found = path.read_text(encoding='utf-8').split()
        if sorted(found) == ids:
            return False
        if not overwrite:
            raise FileExistsError(
                f'{path} is there already and lists other images: '
                f'{len(found)} rather than {len(ids)}, '
                f'{len(set(found) & set(ids))} in common; replace it with '
                '--overwrite, or move it away')
    with atomic_path(path) as tmp:
        tmp.write_text('\n'.join(ids) + '\n')
    return True


def check_sources(voc_dir: str | Path, ids: list[str]) -> list[str]:
    """Look for the photo and the annotation of each image.

    Args:
        voc_dir (str | Path): Folder ``VOCdevkit/VOC2012``.
        ids (list[str]): Image ids.

    Returns:
        list[str]: What is missing, one line for photos, which training
        needs, and one for annotations, which ``VOCXMLLabels`` needs.
    """
    problems = []
    for folder, suffix in (('JPEGImages', '.jpg'), ('Annotations', '.xml')):
        files = {path.name for path in Path(voc_dir, folder).glob('*')}
        missing = [i for i in ids if f'{i}{suffix}' not in files]
        if missing:
            problems.append(
                f'{len(missing)} of {len(ids)} images of train_aug have no '
                f'{folder}/<id>{suffix}: {listed(missing)}; unpack the whole '
                'VOCtrainval_11-May-2012.tar')
    return problems


def write_aug_masks(voc_dir: str | Path,
                    sbd_dir: str | Path,
                    splits: dict[str, list[str]],
                    *,
                    overwrite: bool = False,
                    nproc: int = 1,
                    track: Track | None = None) -> int:
    """Write ``SegmentationClassAug/<id>.png`` for all of `train_aug`.

    It is the mask of VOC where VOC's `train` has one, else that of SBD, which
    has no ignored pixels. Masks are PNGs of class indices, uint8 with palette,
    0 = background, 255 = ignore. They appear whole or not at all.

    Args:
        voc_dir (str | Path): Folder ``VOCdevkit/VOC2012``.
        sbd_dir (str | Path): Folder ``benchmark_RELEASE/dataset``.
        splits (dict[str, list[str]]): See :func:`read_splits`.
        overwrite (bool): Whether to make masks again that are there.
        nproc (int): Number of processes.
        track (Callable, optional): See
            :func:`~mmlpcam.utils.parallel.parallel_map`.

    Returns:
        int: Number of masks written.

    Raises:
        FileNotFoundError: If VOC or SBD lacks a mask.
        ValueError: If a mask of them cannot be read.
        OSError: If a file cannot be written.
    """
    of_voc = set(splits['VOC train'])
    sources = {}
    for image_id in train_aug_ids(splits):
        if image_id in of_voc:
            source = Path(voc_dir, 'SegmentationClass', f'{image_id}.png')
        else:
            source = Path(sbd_dir, 'cls', f'{image_id}.mat')
        sources[Path(voc_dir, MASK_FOLDER, f'{image_id}.png')] = source
    missing = [str(path) for path in sources.values() if not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {len(sources)} masks to convert do not '
            f'exist: {listed(missing)}; unpack VOC and SBD again, or write '
            'the list alone with --list-only, which training from image '
            'labels needs')
    return write_missing(
        _write_mask, sources, overwrite=overwrite, nproc=nproc, track=track)


def _write_mask(path: Path, source: Path) -> None:
    if source.suffix == '.mat':
        mask = read_sbd_mask(source)
    else:
        mask = read_index_mask(source)
    _check_values(source, mask)
    write_index_mask(path, mask)


def read_sbd_mask(path: str | Path) -> np.ndarray:
    """Read the class mask of a file of SBD's folder ``cls``.

    Args:
        path (str | Path): MAT file that holds ``GTcls.Segmentation``.

    Returns:
        np.ndarray: Class indices, (H, W) uint8.

    Raises:
        ValueError: If it is another kind of file.
    """
    try:
        mask = loadmat(path)['GTcls'][0, 0]['Segmentation']
    except OSError:
        raise
    except Exception as error:  # a broken MAT file can raise anything
        raise ValueError(
            f'{path}: not a class mask of SBD, a MAT file with '
            f'GTcls.Segmentation: {type(error).__name__}: {error}') from error
    if mask.ndim != 2 or mask.dtype != np.uint8:
        raise ValueError(f'{path}: expected GTcls.Segmentation to be (H, W) '
                         f'uint8, but got {mask.dtype} of shape {mask.shape}')
    return mask


def _check_values(path: Path, mask: np.ndarray) -> None:
    values = np.unique(mask)
    wrong = values[(values >= NUM_CLASSES) & (values != IGNORE_INDEX)]
    if wrong.size:
        raise ValueError(
            f'{path}: has the values {wrong.tolist()}; expected 0 to '
            f'{NUM_CLASSES - 1}, or {IGNORE_INDEX} for ignored pixels')


def check_aug_masks(voc_dir: str | Path,
                    ids: list[str],
                    *,
                    nproc: int = 1,
                    track: Track | None = None) -> list[str]:
    """Read all masks of `train_aug` again and check them.

    Args:
        voc_dir (str | Path): Folder ``VOCdevkit/VOC2012``.
        ids (list[str]): Image ids.
        nproc (int): Number of processes. Defaults to 1.
        track (Callable, optional): Shows progress. Defaults to None.

    Returns:
        list[str]: What is wrong: masks that are missing, cannot be read,
        hold values that are no class, or differ in size from their photo.
    """
    tasks = [(Path(voc_dir, MASK_FOLDER, f'{image_id}.png'),
              Path(voc_dir, 'JPEGImages', f'{image_id}.jpg'))
             for image_id in ids]
    found = parallel_map(_check_mask, tasks, nproc=nproc, track=track)
    return [problem for problem in found if problem]


def _check_mask(task: tuple[Path, Path]) -> str | None:
    path, photo = task
    try:
        mask = read_index_mask(path)
        _check_values(path, mask)
    except FileNotFoundError:
        return f'{path}: missing'
    except ValueError as error:
        return str(error)
    if not photo.is_file():  # check_sources says so
        return None
    try:
        with Image.open(photo) as image:
            width, height = image.size
    except (OSError, SyntaxError) as error:
        return f'{photo}: not a readable image: {error}'
    if mask.shape != (height, width):
        return (f'{path}: is (H, W) = {mask.shape}, but its photo is '
                f'{(height, width)}')
    return None
