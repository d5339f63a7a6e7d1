"""Masks as brush labels of Label Studio.

https://labelstud.io/guide/predictions and
https://github.com/HumanSignal/label-studio-converter (brush.py).
"""
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from mmlpcam.datasets import ImageFinder
from mmlpcam.datasets.label_sources.label_studio import read_annotations
from mmlpcam.utils import reading, write_bytes
from mmlpcam.utils.photos import photo_size
from .base import MaskFormat, NamedMask

# Bits of a run length: the least that hold it are taken.
_RUN_BITS = (3, 4, 8, 16)
_LONGEST = 1 << _RUN_BITS[-1]
_CHANNELS = 4  # all have the same value
_TOOL, _IMAGE = 'masks', 'image'


class LabelStudioMasks(MaskFormat):
    """Tasks with a brush label per image and class, as predictions.

    The file is imported into a project whose labelling interface is the file
    beside it that ends in ``.xml``. ``data.image`` is what
    ``/data/local-files/`` serves, the photo folder being its document root;
    ``data.image_id`` is the image id. What is read is Label Studio's export
    "JSON", of which annotations count, not predictions: a photo that nobody
    has submitted is left out, one without a brush label is background. A
    later result covers an earlier one.
    """

    suffix = '.json'

    def write(self, masks: Iterable[NamedMask], path: Path) -> None:
        """See :meth:`MaskFormat.write`."""
        tasks = [
            dict(
                data=dict(
                    image='/data/local-files/?d=' + quote(item.file_name),
                    image_id=item.image_id),
                predictions=[
                    dict(
                        model_version='mmlpcam',
                        result=[
                            self._result(item.mask, value)
                            for value in item.labels(len(self.classes))
                        ])
                ]) for item in masks
        ]
        labels = '\n'.join(
            f'    <Label value={quoteattr(name)} '
            f'background="#{bytes(color).hex()}"/>'
            for name, color in zip(self.classes[1:], self.palette[1:]))
        interface = (f'<View>\n  <Image name="{_IMAGE}" value="$image"/>\n'
                     f'  <BrushLabels name="{_TOOL}" toName="{_IMAGE}">\n'
                     f'{labels}\n  </BrushLabels>\n</View>\n')
        write_bytes(path.with_suffix('.xml'), interface.encode())
        write_bytes(path, json.dumps(tasks).encode())

    def _result(self, mask: np.ndarray, value: int) -> dict:
        name = self.classes[value]
        return dict(
            id=f'class{value}',
            type='brushlabels',
            from_name=_TOOL,
            to_name=_IMAGE,
            original_height=mask.shape[0],
            original_width=mask.shape[1],
            image_rotation=0,
            value=dict(
                format='rle',
                rle=encode_brush(mask == value),
                brushlabels=[name]))

    def read(self, path: Path,
             images: Mapping[str, str]) -> Iterator[tuple[str, np.ndarray]]:
        """See :meth:`MaskFormat.read`."""
        for image_id, results, where in read_annotations(
                path, ImageFinder(images)):
            with reading(where, 'annotation with brush labels',
                         'export the project as JSON'):
                size = photo_size(images[image_id])[::-1]
                yield image_id, self._mask(results, size, where)

    def _mask(self, results: list[dict], size: tuple[int, int],
              where: str) -> np.ndarray:
        mask = np.zeros(size, np.uint8)
        for result in results:
            kind = result['type']
            if kind != 'brushlabels':
                if 'labels' not in kind:  # choices, ratings, texts
                    continue
                raise ValueError(f'expected brush labels, but got {kind!r}')
            value = result['value']
            if value['format'] != 'rle' or result.get('image_rotation'):
                raise ValueError('expected the format rle of an image that '
                                 'is not rotated')
            name, = value['brushlabels']
            mask[decode_brush(value['rle'], size)] = self.value_of(name, where)
        return mask


def encode_brush(region: np.ndarray) -> list[int]:
    """Encode a region as Label Studio does, from four equal channels.

    Args:
        region (np.ndarray): (H, W) bool.

    Returns:
        list[int]: Bytes in [0, 255].
    """
    flat = region.ravel()
    ends = np.append(np.flatnonzero(flat[1:] != flat[:-1]) + 1, flat.size)
    lengths = np.diff(ends, prepend=0) * _CHANNELS
    parts = [f'{flat.size * _CHANNELS:032b}{8 - 1:05b}'
             ] + [f'{bits - 1:04b}' for bits in _RUN_BITS]
    for end, length in zip(ends.tolist(), lengths.tolist()):
        value = '1' * 8 if flat[end - 1] else '0' * 8
        while length:
            run = min(length, _LONGEST)
            which = next(i for i, bits in enumerate(_RUN_BITS)
                         if run <= 1 << bits)
            parts.append(f'1{which:02b}{run - 1:0{_RUN_BITS[which]}b}{value}')
            length -= run
    text = ''.join(parts)
    text += '0' * (-len(text) % 8)
    return [int(text[i:i + 8], 2) for i in range(0, len(text), 8)]


def decode_brush(rle: Sequence[int], size: tuple[int, int]) -> np.ndarray:
    """Decode a region of Label Studio.

    Args:
        rle (Sequence[int]): Bytes.
        size (tuple[int, int]): (H, W) of the image.

    Returns:
        np.ndarray: (H, W) bool: where the last channel, the opacity, is at
        least 128.

    Raises:
        ValueError: If it is none, or of another size.
    """
    bits = ''.join(f'{byte:08b}' for byte in bytes(rle))
    position = 0

    def take(number: int) -> int:
        nonlocal position
        position += number
        if position > len(bits):
            raise ValueError('its run lengths end too early')
        return int(bits[position - number:position], 2)

    total, word = take(32), take(5) + 1
    if total != size[0] * size[1] * _CHANNELS or word != 8:
        raise ValueError(f'its run lengths are of {total} values of {word} '
                         f'bits, but those of an image of {size} (H, W) are '
                         f'{size[0] * size[1] * _CHANNELS} of 8')
    run_bits = [take(4) + 1 for _ in range(4)]
    values = np.zeros(total, np.uint8)
    done = 0
    while done < total:
        is_run = take(1)
        run = take(run_bits[take(2)]) + 1
        if done + run > total:
            raise ValueError('its run lengths exceed the image')
        values[done:done +
               run] = take(8) if is_run else [take(8) for _ in range(run)]
        done += run
    return values.reshape(*size, _CHANNELS)[..., -1] >= 128
