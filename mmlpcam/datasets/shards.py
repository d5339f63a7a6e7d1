"""Photos and labels in tar files, in the layout of WebDataset.

A sample is what follows one another under one key: ``a/b.jpg`` and
``a/b.json`` have the key ``a/b`` and the suffixes ``jpg`` and ``json``. The
suffix starts at the first dot behind the last slash. Source:
https://github.com/webdataset/webdataset. That package is not used: it leaves
out what it cannot read and unpickles members by their suffix.
"""
import json
import os
import posixpath
import re
import tarfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from mmengine.fileio import (LocalBackend, exists, get_file_backend,
                             get_local_path, list_from_file)

from mmlpcam.utils import is_whole, reading, stored_path
from mmlpcam.utils.names import check_inside, listed
from mmlpcam.utils.photos import decode_photo
from .label_sources import TagEncoder
from .label_sources.image_finder import PHOTO_SUFFIXES

MAX_MEMBER_SIZE = 2**28
"""int: Bytes that a member may have; none is read into memory before."""

SAMPLE_SUFFIXES = (*(each[1:] for each in PHOTO_SUFFIXES), 'cls', 'json')
"""tuple[str, ...]: What a photo and its tags end in."""

_RANGE = re.compile(r'\{(\d+)\.\.(\d+)\}')
_NAME = re.compile(r'((?:.*/)?[^./]+)\.([^/]+)', re.DOTALL)


class ShardSample(NamedTuple):
    """What a shard holds under one key.

    Attributes:
        shard (str): Name of the shard.
        key (str): Path of the photo without suffix.
        parts (dict[str, bytes]): Content by suffix, in lower case.
    """
    shard: str
    key: str
    parts: dict[str, bytes]

    def where(self, suffix: str) -> str:
        """Return what errors call a member."""
        return f'{self.shard}, member {self.key}.{suffix}'

    def photo(self) -> np.ndarray:
        """Decode the photo.

        Returns:
            np.ndarray: Pixels (H, W, 3) uint8, BGR.

        Raises:
            ValueError: If it is damaged, or there is not one photo.
        """
        found = [each for each in self.parts if f'.{each}' in PHOTO_SUFFIXES]
        if len(found) != 1:
            raise ValueError(
                f'{self.shard}: expected one photo under the key '
                f'{self.key!r}, but got {listed(found) or "none"}. Photos end '
                f'in {", ".join(PHOTO_SUFFIXES)}')
        with reading(self.where(found[0]), 'photo'):
            return decode_photo(self.parts[found[0]])

    def tags(self, classes: Sequence[str]) -> tuple[int, ...] | None:
        """Read the image labels.

        They are ``json``, a list of class names or an object that has one as
        ``tags``, or else ``cls``, 0-based indices of foreground classes with
        blanks between them.

        Args:
            classes (Sequence[str]): Foreground class names.

        Returns:
            tuple[int, ...] | None: Sorted unique 0-based indices of
            foreground classes; None where there are neither.

        Raises:
            ValueError: If they are no such list, or hold an unknown class.
        """
        if 'json' in self.parts:
            where = self.where('json')
            with reading(where, 'list of tags in JSON'):
                content = json.loads(self.parts['json'].decode())
                # tools that fetch photos write a JSON file of their own
                names = content.get('tags') if isinstance(content,
                                                          dict) else content
                if names is not None and not isinstance(names, list):
                    raise ValueError(f'expected a list, but got {names!r:.80}')
            if names is not None:
                return TagEncoder(classes).encode(names, where)
        if 'cls' in self.parts:
            where = self.where('cls')
            with reading(where, 'list of class indices'):
                indices = self.parts['cls'].decode('ascii').split()
            return TagEncoder(classes, as_index=True).encode(indices, where)
        return None


def shard_names(pattern: str,
                backend_args: dict[str, Any] | None = None) -> list[str]:
    """List shards; they are not looked for.

    Args:
        pattern (str): One name; many, with ranges as in
            ``photos-{000000..000199}.tar``; or a ``.txt`` file with such a
            name or pattern in each line.
        backend_args (dict, optional): File backend of a ``.txt`` file.

    Returns:
        list[str]: Their names in order.

    Raises:
        OSError: If the file cannot be opened.
        ValueError: If there is none, a range goes down, a name does not end
            in ``.tar``, or two would have labels of one name.
    """
    if pattern.endswith('.txt'):
        with reading(pattern, 'list of shards in UTF-8'):
            lines = list_from_file(
                pattern, encoding='utf-8-sig', backend_args=backend_args)
    else:
        lines = [pattern]
    names = [
        name for line in lines if line.strip()
        for name in _expand(line.strip())
    ]
    if not names:
        raise ValueError(f'{pattern} names no shard: expected a name a line')
    wrong = [name for name in names if not name.endswith('.tar')]
    if wrong:
        raise ValueError(f'{pattern}: shards end in .tar, but got '
                         f'{listed(wrong)}')
    seen: dict[str, str] = {}
    for name in names:
        base = posixpath.basename(name)
        if base in seen:
            raise ValueError(
                f'{pattern}: {seen[base]!r} and {name!r} have one file name, '
                'and so would their labels: rename one, or label them in two '
                'runs with folders of their own')
        seen[base] = name
    return names


def _expand(pattern: str) -> list[str]:
    """Return the names that a pattern with ranges stands for."""
    match = _RANGE.search(pattern)
    if match is None:
        return [pattern]
    first, last = match.groups()
    if int(first) > int(last):
        raise ValueError(f'{pattern}: the range {match[0]} goes down')
    return [
        name for number in range(int(first),
                                 int(last) + 1)
        for name in _expand(f'{pattern[:match.start()]}{number:0{len(first)}d}'
                            f'{pattern[match.end():]}')
    ]


def read_shard(
        path: str,
        suffixes: Collection[str] = SAMPLE_SUFFIXES,
        backend_args: dict[str, Any] | None = None) -> Iterator[ShardSample]:
    """Read the samples of a shard one after the other.

    Hidden members, those with ``__`` at both ends of a part of their name
    (WebDataset's own) and those with other suffixes are left out.

    Args:
        path (str): Its name. A shard that is not on a local disk is fetched
            to one first.
        suffixes (Collection[str]): Suffixes of the members to read, in lower
            case. Defaults to those of photos and tags.
        backend_args (dict, optional): File backend. Defaults to None: that
            of the prefix of the path.

    Yields:
        ShardSample: Its samples, in order.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no tar file, cut or damaged; or a member is a
            link or device, is larger than :data:`MAX_MEMBER_SIZE`, leads out
            of its folder, or is there twice; or the members of a key do not
            follow one another.
    """
    current = ShardSample(path, '', {})
    seen: set[str] = set()
    advice = 'fetch or make the shard again'
    with get_local_path(
            path, backend_args=backend_args) as local, open(
                local, 'rb') as file, reading(path, 'shard', advice):
        for key, suffix, content in _members(file, suffixes):
            if key != current.key:
                if current.parts:
                    yield current
                if key in seen:
                    raise ValueError(
                        f'members of {key!r} do not follow one another, or '
                        'two photos have this key')
                seen.add(key)
                current = ShardSample(path, key, {})
            if suffix in current.parts:
                raise ValueError(f'{key}.{suffix} is there twice')
            current.parts[suffix] = content
        if current.parts:
            yield current


def split_name(name: str) -> tuple[str, str]:
    """Return what a member is called.

    Args:
        name (str): Its path in the shard.

    Returns:
        tuple[str, str]: Key, and suffix in lower case; both are empty where
        :func:`read_shard` leaves it out.
    """
    match = _NAME.fullmatch(name)
    if match is None or re.search('__[^/]*__(/|$)', name):
        return '', ''
    return match[1], match[2].lower()


def _members(file: BinaryIO,
             suffixes: Collection[str]) -> Iterator[tuple[str, str, bytes]]:
    """Yield key, suffix and content of the members of a tar file."""
    # as a stream, so that a size in a header cannot lead backwards
    with tarfile.open(fileobj=file, mode='r|') as tar:
        for member in tar:
            if member.isdir():
                continue
            if not member.isreg() or member.issparse():
                raise ValueError(f'{member.name!r} is a link, a device or '
                                 'sparse: expected plain files')
            name = member.name.removeprefix('./')
            check_inside('the shard', name)
            key, suffix = split_name(name)
            if suffix not in suffixes:
                continue
            if member.size > MAX_MEMBER_SIZE:
                raise ValueError(
                    f'{name!r} says that it has {member.size} bytes: expected '
                    f'at most {MAX_MEMBER_SIZE}')
            with closing(tar.extractfile(member)) as content:
                yield key, suffix, content.read()
        end = tar.offset
    # tarfile takes a damaged header for the end
    file.seek(end)
    rest = 0
    for chunk in iter(partial(file.read, 2**20), b''):
        if chunk.strip(b'\0'):
            raise ValueError(f'the header at byte {end} is damaged')
        rest += len(chunk)
    if rest < 2 * tarfile.BLOCKSIZE:
        raise ValueError(f'it is cut after {end + rest} bytes')


def write_shard(path: str,
                members: Iterable[tuple[str, bytes]],
                backend_args: dict[str, Any] | None = None) -> None:
    """Write a shard, whole or not at all.

    Args:
        path (str): Its name.
        members (Iterable[tuple[str, bytes]]): Name and content of each
            member. Equal members give equal bytes.
        backend_args (dict, optional): File backend. Defaults to None: that
            of the prefix of the path.

    Raises:
        OSError: If it cannot be written.
        ValueError: If a name leads out of its folder.
    """
    with stored_path(path, backend_args) as tmp, open(tmp, 'wb') as file:
        with tarfile.open(fileobj=file, mode='w') as tar:
            for name, content in members:
                check_inside(path, name)
                info = tarfile.TarInfo(name)  # of nobody, from 1970
                info.size = len(content)
                tar.addfile(info, BytesIO(content))
        file.flush()
        os.fsync(file.fileno())


def has_shard(path: str, backend_args: dict[str, Any] | None = None) -> bool:
    """Whether a shard is there; on a local disk, also whether it is whole.

    Args:
        path (str): Its name.
        backend_args (dict, optional): File backend. Defaults to None: that
            of the prefix of the path.

    Returns:
        bool: Whether it is.
    """
    if isinstance(
            get_file_backend(path, backend_args=backend_args), LocalBackend):
        return is_whole(Path(path))
    return exists(path, backend_args=backend_args)
