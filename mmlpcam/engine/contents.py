"""What is in the files that a run reads, wherever they lie."""
import copy
import hashlib
import json
import os
import os.path as osp
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mmengine.registry import DATASETS as ENGINE_DATASETS
from mmseg.registry import DATASETS

from mmlpcam.datasets import (PseudoLabelDataset, SegDatasetWrapper,
                              nested_datasets)
from mmlpcam.utils import write_json
from mmlpcam.utils.files import SETTLED
from mmlpcam.utils.names import listed

# Transforms of these packages are known, and so whether they read masks.
_KNOWN = ('mmcv', 'mmengine', 'mmseg', 'mmlpcam')


class ContentReader:
    """Tell files and data sets apart by what is in them.

    A file is read once; later its size and times say that it is the same.

    Args:
        cache_file (str | os.PathLike): Where the digests are kept, by file
            name, size and times.
    """

    def __init__(self, cache_file: str | os.PathLike) -> None:
        self._cache_file = Path(cache_file)
        self._datasets: dict[str, dict | None] = {}
        self._is_new = False
        try:
            cache = json.loads(self._cache_file.read_text())
        except (OSError, ValueError):
            cache = None  # it only saves time
        self._cache = cache if isinstance(cache, dict) else {}

    def file(self, path: str | os.PathLike) -> str | None:
        """Digest a file.

        Args:
            path (str | os.PathLike): File name.

        Returns:
            str | None: Its size and digest; None if there is none.
        """
        path = osp.abspath(path)
        try:
            stat = os.stat(path)
            times = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
            known = self._cache.get(path)
            if isinstance(known, list) and known[:3] == times:
                return known[3]
            digest = hashlib.blake2b(digest_size=12)
            with open(path, 'rb') as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        content = f'{stat.st_size}-{digest.hexdigest()}'
        if time.time_ns() - max(times[1:]) > SETTLED:
            self._cache[path] = [*times, content]
            self._is_new = True
        return content

    def files(self, paths: Iterable[str | None]) -> list[str | None]:
        """Digest many files, a few at a time.

        Args:
            paths (Iterable[str | None]): File names; None is no file.

        Returns:
            list[str | None]: See :meth:`file`.
        """
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda path: path and self.file(path), paths))

    def folder(self, path: str | os.PathLike) -> dict:
        """Digest all files of a folder but hidden ones.

        Args:
            path (str | os.PathLike): Folder.

        Returns:
            dict: ``files``, a dict from the path below the folder.
        """
        names = sorted(
            file.relative_to(path).as_posix() for file in Path(path).rglob('*')
            if file.is_file() and not file.name.startswith('.'))
        paths = [osp.join(path, name) for name in names]
        return dict(files=dict(zip(names, self.files(paths))))

    def dataset(self, cfg: dict, scope: str) -> dict | None:
        """Tell what a data set holds, in whatever form it is stored.

        Args:
            cfg (dict): Its config, with all paths resolved.
            scope (str): Registry scope to build it in.

        Returns:
            dict | None: ``classes``, and ``images``: id, digest of the photo,
            indices of its tags and digest of its mask, in the order of the
            samples. Tags and masks are None where they are not read, digests
            where a file is not on this file system. None for a data set of a
            kind that does not tell.
        """
        key = json.dumps(cfg, default=repr, sort_keys=True)
        if key not in self._datasets:
            self._datasets[key] = self._read_dataset(cfg, scope)
        return self._datasets[key]

    def forget_datasets(self) -> None:
        """Build data sets again when they are asked for: time has passed."""
        self._datasets.clear()

    def save(self) -> None:
        """Keep the digests for the next process."""
        if self._is_new:
            write_json(self._cache_file, self._cache)
            self._is_new = False

    def _read_dataset(self, cfg: dict, scope: str) -> dict | None:
        cfg = _unchecked(copy.deepcopy(cfg))
        dataset = DATASETS.build(dict(cfg, _scope_=scope))
        if not hasattr(dataset, 'get_data_info'):
            return None
        if hasattr(dataset, 'full_init'):
            dataset.full_init()
        with_masks = _reads_masks(dataset)
        infos: dict[str, dict] = {}
        for index in range(len(dataset)):
            info = dataset.get_data_info(index)
            name = info.get('image_id', osp.basename(info['img_path']))
            if not with_masks:
                info['seg_map_path'] = None
            if infos.setdefault(name, info)['img_path'] != info['img_path']:
                infos[info['img_path']] = info  # another of that name
        images = self.files(info['img_path'] for info in infos.values())
        masks = self.files(info.get('seg_map_path') for info in infos.values())
        tags = [info.get('img_labels') for info in infos.values()]
        return dict(
            classes=list(dataset.metainfo.get('classes') or ()),
            images=[[
                name, image, None if tag is None else list(tag), mask
            ] for name, image, tag, mask in zip(infos, images, tags, masks)])


def is_dataset(node: Any) -> bool:
    """Whether a part of a config is that of a data set.

    Args:
        node (Any): Any part of a config.

    Returns:
        bool: Whether it is.
    """
    return _dataset_class(node) is not None


def content_changes(old: dict | None, new: dict | None) -> list[str]:
    """Say how an input differs from what it was.

    Args:
        old (dict | None): What a :class:`ContentReader` told, or None.
        new (dict | None): What it tells now, or None.

    Returns:
        list[str]: A phrase for each difference.
    """
    if old == new:
        return []
    if not old or not new or old.keys() != new.keys():
        return [
            'it is of another kind' if old and new else
            'it is new' if new else 'it is not read any more'
        ]
    if 'files' in new:
        return _named_changes(old['files'], new['files'], 'files', 'differ')
    if 'images' not in new:
        return ['the file differs']
    before = {entry[0]: entry[1:] for entry in old['images']}
    after = {entry[0]: entry[1:] for entry in new['images']}
    found = [] if old['classes'] == new['classes'] else ['the classes differ']
    found += _named_changes(before.keys(), after.keys(), 'images', '')
    both = [name for name in after if name in before]
    for place, what in enumerate(('photos', 'tags', 'masks')):
        changed = [
            name for name in both if before[name][place] != after[name][place]
        ]
        if changed:
            found.append(f'the {what} of {len(changed)} images differ: '
                         f'{listed(changed)}')
    return found or ['the images come in another order']


def _named_changes(old: Any, new: Any, what: str, differ: str) -> list[str]:
    gone = [name for name in old if name not in new]
    added = [name for name in new if name not in old]
    found = []
    if gone:
        found.append(f'{len(gone)} {what} are gone: {listed(gone)}')
    if added:
        found.append(f'{len(added)} {what} are new: {listed(added)}')
    changed = differ and [
        name for name in new if name in old and old[name] != new[name]
    ]
    if changed:
        found.append(f'{len(changed)} {what} {differ}: {listed(changed)}')
    return found


def _dataset_class(node: Any) -> type | None:
    kind = node.get('type') if isinstance(node, dict) else None
    if isinstance(kind, str):
        name = kind.rpartition('.')[2]
        kind = DATASETS.module_dict.get(name,
                                        ENGINE_DATASETS.module_dict.get(name))
    registered = (*DATASETS.module_dict.values(),
                  *ENGINE_DATASETS.module_dict.values())
    return kind if kind in registered else None


def _unchecked(node: Any) -> Any:
    """Leave out checks of files, which are read anyway."""
    if isinstance(node, dict):
        for value in node.values():
            _unchecked(value)
        kind = _dataset_class(node)
        if kind is not None and issubclass(kind, SegDatasetWrapper):
            node['check_files'] = False
    elif isinstance(node, list | tuple):
        for value in node:
            _unchecked(value)
    return node


def _reads_masks(dataset: Any) -> bool:
    found = False
    for each in nested_datasets(dataset):
        if isinstance(each, PseudoLabelDataset) and each.label_dir is None:
            each.label_dir = os.devnull  # its masks are made while training
        found |= bool(getattr(each, 'replaces_masks', False))
        found |= _loads_masks(getattr(each, 'pipeline', ()))
    return found


def _loads_masks(transform: Any) -> bool:
    """Whether a transform loads a mask, as far as can be told."""
    if isinstance(transform, Sequence):
        return any(map(_loads_masks, transform))
    if hasattr(transform, 'transforms'):  # Compose, RandomApply and the like
        return _loads_masks(transform.transforms)
    kind = type(transform)
    if kind.__module__.partition('.')[0] not in _KNOWN:
        return True
    return kind.__name__.startswith('Load') and 'Image' not in kind.__name__
