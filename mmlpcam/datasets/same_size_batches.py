"""Batches of photos of equal size."""
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from mmengine.dataset import InfiniteSampler
from mmseg.registry import DATA_SAMPLERS
from torch.utils.data import Dataset, Sampler, Subset

from mmlpcam.utils.photos import photo_size

_UNKNOWN = (0, 0)
_AT_ONCE = 4096


@DATA_SAMPLERS.register_module()
class SameSizeBatchSampler(Sampler[list[int]]):
    """Put photos of one size into a batch, whole photos without padding.

    It is the ``batch_sampler`` of a loader whose pipeline keeps photos whole,
    such as one that labels are made from. Sizes come from the headers of the
    files. A batch is given as soon as it is full, so that the order of photos
    changes little; those that are left at the end come in smaller batches. A
    photo that cannot be read has a batch of its own.

    Args:
        sampler (Sampler): Indices of the photos of this rank, as MMEngine
            builds it.
        batch_size (int): Most photos of a batch.

    Raises:
        TypeError: If the sampler never ends.
        ValueError: If `batch_size` is below 1.
    """

    def __init__(self, sampler: Sampler[int], batch_size: int) -> None:
        if batch_size < 1:
            raise ValueError(f'`batch_size` must be at least 1, but is '
                             f'{batch_size}')
        if isinstance(sampler, InfiniteSampler):
            raise TypeError('SameSizeBatchSampler needs all photos of an '
                            'epoch, but InfiniteSampler never ends: set '
                            "sampler=dict(type='DefaultSampler')")
        self.sampler = sampler
        self.batch_size = batch_size
        self._sizes: np.ndarray | None = None
        self._length: tuple[int, int] | None = None

    def __iter__(self) -> Iterator[list[int]]:
        waiting: dict[tuple[int, int], list[int]] = {}
        for index, size in zip(self.sampler, self._read_sizes()):
            if size == _UNKNOWN or self.batch_size == 1:
                yield [index]
                continue
            batch = waiting.setdefault(size, [])
            batch.append(index)
            if len(batch) == self.batch_size:
                yield waiting.pop(size)
        yield from waiting.values()

    def __len__(self) -> int:
        # loops ask at each batch, and counting goes through all photos; the
        # photos of a rank are those of an epoch
        epoch = getattr(self.sampler, 'epoch', 0)
        if self._length is None or self._length[0] != epoch:
            self._length = epoch, self._count_batches()
        return self._length[1]

    def _count_batches(self) -> int:
        if self.batch_size == 1:
            return len(self.sampler)
        counts = Counter(self._read_sizes())
        return sum(count if size == _UNKNOWN else -(-count // self.batch_size)
                   for size, count in counts.items())

    def _read_sizes(self) -> Iterator[tuple[int, int]]:
        """Sizes in the order of the sampler, read once."""
        if self.batch_size == 1:
            return (_UNKNOWN for _ in self.sampler)
        if self._sizes is None:
            dataset = self.sampler.dataset
            self._sizes = np.zeros((len(dataset), 2), np.int32)
            indices = sorted(set(self.sampler))
            # opening files waits for the disk, not for the processor
            with ThreadPoolExecutor(16) as pool:
                for start in range(0, len(indices), _AT_ONCE):
                    part = indices[start:start + _AT_ONCE]
                    paths = [_image_path(dataset, index) for index in part]
                    self._sizes[part] = list(pool.map(_size, paths))
        sizes = self._sizes
        return (tuple(sizes[index].tolist()) for index in self.sampler)


def _image_path(dataset: Dataset, index: int) -> str:
    while isinstance(dataset, Subset):
        dataset, index = dataset.dataset, dataset.indices[index]
    return dataset.get_data_info(index)['img_path']


def _size(path: str) -> tuple[int, int]:
    try:
        return photo_size(path)
    except (OSError, ValueError):  # loading says what is wrong
        return _UNKNOWN
