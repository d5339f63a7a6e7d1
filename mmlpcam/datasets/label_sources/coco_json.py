import posixpath
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmseg.registry import TASK_UTILS

from .base import ImageLabelSource, Labels
from .image_finder import (ImageFinder, check_all_labeled, to_nfc,
                           without_photo_suffix)
from .label_files import existing_path, read_label_json
from .tag_encoder import TagEncoder

# What each entry of a COCO file must have, and of which type.
_ID = (int, str)
_FIELDS: dict[str, dict[str, tuple[type, ...]]] = {
    'images': dict(id=_ID, file_name=(str, )),
    'categories': dict(id=_ID, name=(str, )),
    'annotations': dict(image_id=_ID, category_id=_ID)
}


@TASK_UTILS.register_module()
class COCOJSONLabels(ImageLabelSource):
    """Labels from a COCO instances file.

    Images are found by ``file_name`` without extension, or by its stem alone
    if that is unique; categories are matched to classes by *name*. An image
    of the file without annotations has no label.

    Args:
        ann_file (str): Instances JSON.
        with_crowd (bool): Whether annotations with ``iscrowd=1`` count.
            Defaults to True, as in the official LPCAM labels.
        ignore_unknown (bool): Whether to leave out objects whose category is
            not among the classes, for a subset of the categories. Defaults to
            False: such an object is an error.
    """

    def __init__(self,
                 ann_file: str,
                 with_crowd: bool = True,
                 *,
                 ignore_unknown: bool = False) -> None:
        self.ann_file = ann_file
        self.with_crowd = with_crowd
        self.ignore_unknown = ignore_unknown

    def files(self, images: Mapping[str, str]) -> Iterable[str | Path]:
        """See :meth:`ImageLabelSource.files`."""
        return [self.ann_file]

    def load(self, images: Mapping[str, str],
             classes: Sequence[str]) -> Labels:
        """See :meth:`ImageLabelSource.load`."""
        path = existing_path(self.ann_file, 'COCOJSONLabels: ann_file')
        data = read_label_json(path)
        _check_entries(path, data)
        names = {item['id']: item['name'] for item in data['categories']}
        tags = self._tags(path, data, names)

        finder = ImageFinder(images)
        by_id: dict[str, int] = {}
        by_stem = defaultdict(list)
        strangers = []
        for item in data['images']:
            name = item['file_name']
            where = f'{path}, image {name!r}'
            image_id = finder.find(name, where)
            if image_id is None:
                strangers.append(name)
            elif image_id in by_id:
                raise ValueError(f'{where}: another entry of the file has '
                                 'this file_name. Keep one of the two')
            else:
                by_id[image_id] = item['id']
            by_stem[_stem(name)].append(item['id'])

        encoder = TagEncoder(classes, ignore_unknown=self.ignore_unknown)
        labels = {}
        for image_id in images:
            same_stem = by_stem.get(_stem(image_id), [])
            if image_id in by_id:
                coco_id = by_id[image_id]
            elif len(same_stem) == 1:
                coco_id = same_stem[0]
            else:
                continue
            labels[image_id] = encoder.encode(tags[coco_id],
                                              f'{path}, image {image_id!r}')
        check_all_labeled(
            labels, images, f'ann_file {str(path)!r}',
            "Expected an 'images' entry with this file_name (or a unique "
            'stem) for each: is it the file of another split?', strangers)
        return labels

    def _tags(self, path: Path, data: dict,
              names: dict[int, str]) -> dict[int, set[str]]:
        """Return the categories on each image, by the id of the image."""
        tags: dict[int, set[str]] = {
            item['id']: set()
            for item in data['images']
        }
        for number, item in enumerate(data['annotations']):
            where = f'{path}, annotations[{number}]'
            if item['image_id'] not in tags:
                raise ValueError(f'{where}: image_id {item["image_id"]} is '
                                 "not in 'images': are the two of one file?")
            if item['category_id'] not in names:
                raise ValueError(f'{where}: category_id '
                                 f'{item["category_id"]} is not in '
                                 "'categories'")
            if item.get('iscrowd', 0) not in (0, 1):
                raise ValueError(f'{where}: expected iscrowd to be 0 or 1, '
                                 f'but got {item["iscrowd"]!r}')
            if self.with_crowd or not item.get('iscrowd', 0):
                tags[item['image_id']].add(names[item['category_id']])
        return tags


def _stem(name: str) -> str:
    """Return the name of an image without folders and suffix."""
    name = posixpath.basename(name.replace('\\', '/'))
    return without_photo_suffix(to_nfc(name))


def _check_entries(path: Path, data: Any) -> None:
    """Check the shape of a COCO file.

    Raises:
        ValueError: If it has another shape, or an id or name twice.
    """
    for key, fields in _FIELDS.items():
        if not isinstance(data, dict) or key not in data:
            raise ValueError(
                f'{path}: expected a COCO instances file, an object with '
                f"'images', 'annotations' and 'categories'; {key!r} is "
                'missing')
        if not isinstance(data[key], list):
            raise ValueError(f'{path}: expected {key!r} to be a list, but got '
                             f'{data[key]!r:.80}')
        seen = set()
        for number, item in enumerate(data[key]):
            where = f'{path}, {key}[{number}]'
            for field, kinds in fields.items():
                value = item.get(field) if isinstance(item, dict) else None
                if type(value) not in kinds or value == '':
                    raise ValueError(
                        f'{where}: expected {field!r} of type '
                        f'{kinds[0].__name__}, but got {item!r:.200}')
            if 'id' in fields:
                for field in ('id', 'name'):
                    if (value := item.get(field)) is None:
                        continue
                    if (field, value) in seen:
                        raise ValueError(f'{where}: the {field} {value!r} is '
                                         'there twice')
                    seen.add((field, value))
