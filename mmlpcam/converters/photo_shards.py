"""Folders of photos and labels to shards, and back."""
import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from mmengine.fileio import get_text, join_path

from mmlpcam.datasets import read_shard, write_shard
from mmlpcam.datasets.shards import MAX_MEMBER_SIZE, split_name
from mmlpcam.evaluation import check_same_settings, read_manifest
from mmlpcam.utils import atomic_path, reading, write_json
from mmlpcam.utils.names import check_inside, listed
from mmlpcam.utils.parallel import Track, parallel_map
from mmlpcam.utils.photos import photo_size

# where the members of a shard of labels go, by suffix
_LABEL_FOLDERS = dict(png='masks', npz='maps', error=None)


def write_photo_shards(photos: Mapping[str, str],
                       tags: Mapping[str, Sequence[str]] | None,
                       out_dir: str | os.PathLike,
                       *,
                       name: str = 'photos',
                       per_shard: int = 1000,
                       overwrite: bool = False,
                       nproc: int = 1,
                       track: Track | None = None) -> list[Path]:
    """Put photos into shards, as they are, with their tags.

    Args:
        photos (Mapping[str, str]): Path of each photo by its id, in the order
            that they are to have.
        tags (Mapping[str, Sequence[str]], optional): Class names of each.
            None: the shards have no tags.
        out_dir (str | os.PathLike): Gets ``<name>-000000.tar`` and so on.
        name (str): How they begin. Defaults to 'photos'.
        per_shard (int): Photos in each, fewer in the last. Defaults to 1000.
        overwrite (bool): Whether to replace shards of this name that are
            there, once the new ones are whole. Defaults to False.
        nproc (int): Number of processes. Defaults to 1.
        track (Callable, optional): See
            :func:`~mmlpcam.utils.parallel.parallel_map`.

    Returns:
        list[Path]: The shards.

    Raises:
        FileExistsError: If there are shards of this name.
        OSError: If a file cannot be opened or written.
        ValueError: If `per_shard` is not positive, a name would not come back
            from a shard, or a photo is none or too large.
        RuntimeError: If a process died.
    """
    if per_shard < 1:
        raise ValueError(f'per_shard must be at least 1, but is {per_shard}')
    lost = [
        key for key, path in photos.items()
        if split_name(_member_name(key, path))[0] != key
    ]
    if lost:
        raise ValueError(
            f'{len(lost)} of {len(photos)} photos have "__" at both ends or a '
            f'dot in their names: {listed(lost)}. In a shard, the former is '
            'left out, and what follows the first dot is the suffix: rename '
            'them')
    check_inside(out_dir, name)
    out_dir, name = (Path(out_dir) / name).parent, Path(name).name
    _shards_there(out_dir, name, overwrite)
    out_dir.mkdir(parents=True, exist_ok=True)
    todo = iter(photos.items())
    # one bad photo, or a full disk, must not cost the shards that are there
    with tempfile.TemporaryDirectory(prefix='.tmp-', dir=out_dir) as folder:
        tasks = []
        while batch := dict(islice(todo, per_shard)):
            path = Path(folder) / f'{name}-{len(tasks):06d}.tar'
            tasks.append((path, batch, tags and {
                key: tags[key]
                for key in batch
            }))
        parallel_map(_write_photos, tasks, nproc=nproc, track=track)
        # another run may have been quicker
        for path in _shards_there(out_dir, name, overwrite):
            path.unlink()
        return [path.rename(out_dir / path.name) for path, *_ in tasks]


def _shards_there(out_dir: Path, name: str, overwrite: bool) -> list[Path]:
    """Find the shards of a name, and refuse those that are to stay."""
    # shards of photos-val are not those of photos
    there = [
        path for path in sorted(out_dir.glob('*.tar'))
        if re.fullmatch(re.escape(name) + r'-\d{6,}\.tar', path.name)
    ]
    if there and not overwrite:
        raise FileExistsError(
            f'{out_dir} holds {len(there)} shards, such as {there[0].name}: '
            'choose another folder or name, or replace them with --overwrite')
    return there


def _write_photos(task: tuple[Path, dict, dict | None]) -> None:
    path, photos, tags = task
    write_shard(str(path), _photo_members(photos, tags))


def _member_name(key: str, path: str) -> str:
    return key + Path(path).suffix.lower()


def _photo_members(photos: dict[str, str],
                   tags: dict | None) -> Iterator[tuple[str, bytes]]:
    for key, path in photos.items():
        photo_size(path)  # refuses what is no photo
        content = Path(path).read_bytes()
        if len(content) > MAX_MEMBER_SIZE:
            raise ValueError(f'{path} has {len(content)} bytes, but a photo '
                             f'in a shard at most {MAX_MEMBER_SIZE}')
        yield _member_name(key, path), content
        if tags is not None:
            yield f'{key}.json', json.dumps(tags[key]).encode()


def unpack_labels(shards: Sequence[str],
                  out_dir: str | os.PathLike,
                  *,
                  backend_args: dict[str, Any] | None = None,
                  track: Track | None = None) -> Counter[str]:
    """Write labels of shards as the files of a PseudoLabelWriter.

    Masks and maps that are there already and equal are kept.

    Args:
        shards (Sequence[str]): Names of shards that
            :class:`~mmlpcam.apis.ShardLabeler` has written, all in one
            folder with its manifest.
        out_dir (str | os.PathLike): Gets ``masks/<key>.png``,
            ``maps/<key>.npz`` where there are maps, and ``manifest.json``.
        backend_args (dict, optional): File backend of the shards. Defaults
            to None: that of the prefix of their names.
        track (Callable, optional): See
            :func:`~mmlpcam.utils.parallel.parallel_map`.

    Returns:
        Counter[str]: Number of 'png', 'npz' and, for photos that were left
        out, 'error'.

    Raises:
        FileExistsError: If another label of the same name is there.
        OSError: If a shard or the manifest is missing, or a file cannot be
            written.
        RuntimeError: If the folder holds labels of other settings.
        ValueError: If a shard or the manifest is damaged.
    """
    manifest = join_path(
        os.path.dirname(shards[0]), 'manifest.json', backend_args=backend_args)
    with reading(manifest, 'manifest of labels'):
        settings = json.loads(get_text(manifest, backend_args=backend_args))
        settings = dict(settings['settings'])
        classes = list(settings['classes'])
    written = Path(out_dir) / 'manifest.json'
    if written.exists():  # of other shards of the same labels
        check_same_settings(out_dir,
                            read_manifest(written)['settings'], settings)
    masks = Path(out_dir) / 'masks'

    def write_manifest(complete: bool) -> None:
        write_json(
            written,
            dict(
                complete=complete,
                settings=settings,
                classes=classes,
                num_masks=sum(1 for _ in masks.rglob('*.png'))))

    # before the first file, so that labels of other settings meet it
    write_manifest(complete=False)
    track = track or (lambda results: results[0])
    counts: Counter[str] = Counter()
    for shard in track((shards, len(shards))):
        for sample in read_shard(shard, _LABEL_FOLDERS, backend_args):
            for suffix, content in sample.parts.items():
                counts[suffix] += 1
                folder = _LABEL_FOLDERS[suffix]
                if folder is not None:
                    path = check_inside(
                        Path(out_dir) / folder, f'{sample.key}.{suffix}')
                    _write_once(path, content, sample.where(suffix))
    write_manifest(complete=True)
    return counts


def _write_once(path: Path, content: bytes, where: str) -> None:
    if not path.exists():
        with atomic_path(path) as tmp:
            tmp.write_bytes(content)
    elif path.read_bytes() != content:
        raise FileExistsError(
            f'{path} is there already and is not {where}: two photos have '
            'this key, or the folder holds other labels. Choose another one')
