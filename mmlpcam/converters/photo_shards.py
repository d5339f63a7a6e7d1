"""Folders of photos and labels to shards, and back."""
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from mmengine.fileio import get_text, join_path

from mmlpcam.datasets import read_shard, write_shard
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
        overwrite (bool): Whether to remove shards of this name that are
            there. Defaults to False.
        nproc (int): Number of processes. Defaults to 1.
        track (Callable, optional): See
            :func:`~mmlpcam.utils.parallel.parallel_map`.

    Returns:
        list[Path]: The shards.

    Raises:
        FileExistsError: If there are shards of this name.
        OSError: If a file cannot be opened or written.
        ValueError: If `per_shard` is not positive, an id has a dot in its
            last part, or a photo is none.
        RuntimeError: If a process died.
    """
    if per_shard < 1:
        raise ValueError(f'per_shard must be at least 1, but is {per_shard}')
    dotted = [key for key in photos if '.' in key.rpartition('/')[2]]
    if dotted:
        raise ValueError(
            f'{len(dotted)} of {len(photos)} photos have a dot in their '
            f'names: {listed(dotted)}. In a shard, what follows the first '
            'dot is the suffix: rename them')
    there = sorted(Path(out_dir).glob(f'{name}-*.tar'))
    if there and not overwrite:
        raise FileExistsError(
            f'{out_dir} holds {len(there)} shards, such as {there[0].name}: '
            'choose another folder or name, or replace them with --overwrite')
    for path in there:
        path.unlink()
    todo = iter(photos.items())
    tasks = []
    while batch := dict(islice(todo, per_shard)):
        path = Path(out_dir) / f'{name}-{len(tasks):06d}.tar'
        tasks.append((path, batch, tags and {key: tags[key] for key in batch}))
    parallel_map(_write_photos, tasks, nproc=nproc, track=track)
    return [path for path, *_ in tasks]


def _write_photos(task: tuple[Path, dict, dict | None]) -> None:
    path, photos, tags = task
    write_shard(str(path), _photo_members(photos, tags))


def _photo_members(photos: dict[str, str],
                   tags: dict | None) -> Iterator[tuple[str, bytes]]:
    for key, path in photos.items():
        photo_size(path)  # refuses what is no photo
        yield key + Path(path).suffix.lower(), Path(path).read_bytes()
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
        ValueError: If a shard or the manifest is damaged.
    """
    manifest = join_path(
        os.path.dirname(shards[0]), 'manifest.json', backend_args=backend_args)
    with reading(manifest, 'manifest of labels'):
        settings = json.loads(get_text(manifest, backend_args=backend_args))
        settings = dict(settings['settings'])
        classes = list(settings['classes'])
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
    write_json(
        Path(out_dir) / 'manifest.json',
        dict(
            complete=True,
            settings=settings,
            classes=classes,
            num_masks=counts['png']))
    return counts


def _write_once(path: Path, content: bytes, where: str) -> None:
    if not path.exists():
        with atomic_path(path) as tmp:
            tmp.write_bytes(content)
    elif path.read_bytes() != content:
        raise FileExistsError(
            f'{path} is there already and is not {where}: two photos have '
            'this key, or the folder holds other labels. Choose another one')
