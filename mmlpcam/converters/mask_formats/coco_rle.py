"""Masks in an instances file of COCO, as run lengths."""
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from mmlpcam.datasets import ImageFinder, read_label_json
from mmlpcam.utils import reading, write_bytes
from ..coco_masks import import_pycocotools, rasterize
from .base import MaskFormat, NamedMask, check_size


class COCORLEMasks(MaskFormat):
    """A COCO instances file with an annotation per image and class.

    ``category_id`` is the mask value. ``segmentation`` is pycocotools'
    compressed RLE. What is read may hold polygons and uncompressed RLE too,
    and several annotations of a class; a later one covers an earlier one.
    """

    suffix = '.json'

    def write(self, masks: Iterable[NamedMask], path: Path) -> None:
        """See :meth:`MaskFormat.write`; needs pycocotools."""
        coco = import_pycocotools()
        images: list[dict] = []
        annotations: list[dict] = []
        for number, item in enumerate(masks, 1):
            height, width = item.mask.shape
            images.append(
                dict(
                    id=number,
                    file_name=item.file_name,
                    width=width,
                    height=height))
            for value in item.labels(len(self.classes)):
                region = np.asfortranarray(item.mask == value, np.uint8)
                rle = coco.encode(region)
                annotations.append(
                    dict(
                        id=len(annotations) + 1,
                        image_id=number,
                        category_id=value,
                        segmentation=dict(
                            size=[height, width],
                            counts=rle['counts'].decode()),
                        area=int(region.sum()),
                        bbox=coco.toBbox(rle).tolist(),
                        iscrowd=0))
        categories = [
            dict(id=value, name=name)
            for value, name in enumerate(self.classes) if value
        ]
        content = dict(
            images=images, annotations=annotations, categories=categories)
        write_bytes(path, json.dumps(content).encode())

    def read(self, path: Path,
             images: Mapping[str, str]) -> Iterator[tuple[str, np.ndarray]]:
        """See :meth:`MaskFormat.read`; needs pycocotools."""
        import_pycocotools()
        data = read_label_json(path)
        finder = ImageFinder(images)
        with reading(path, 'COCO instances file'):
            for key in ('categories', 'images'):
                if len({item['id'] for item in data[key]}) < len(data[key]):
                    raise ValueError(f'two of its {key} have one id')
            values = {
                item['id']: self.value_of(item['name'], f'{path}, categories')
                for item in data['categories']
            }
            regions: dict = {item['id']: [] for item in data['images']}
            for item in data['annotations']:
                for key, known in (('image_id', regions), ('category_id',
                                                           values)):
                    if item[key] not in known:
                        raise ValueError(
                            f'the {key} {item[key]!r} of annotation '
                            f'{item.get("id")!r} is not listed')
                regions[item['image_id']].append(item)
            for item in data['images']:
                image_id = finder.find(item['file_name'], str(path))
                if image_id is None:
                    continue
                size = (item['height'], item['width'])
                check_size(size, images[image_id], str(path))
                mask = np.zeros(size, np.uint8)
                for region in regions[item['id']]:
                    mask[rasterize(region['segmentation'],
                                   size)] = values[region['category_id']]
                yield image_id, mask
