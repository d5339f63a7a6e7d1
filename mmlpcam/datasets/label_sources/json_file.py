from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mmseg.registry import TASK_UTILS

from .base import ImageLabelSource, Labels
from .image_finder import ImageFinder, check_all_labeled
from .label_files import existing_path, read_label_json
from .tag_encoder import TagEncoder


@TASK_UTILS.register_module()
class JSONLabels(ImageLabelSource):
    """Labels from a JSON object ``{"photo1.jpg": ["cat", "dog"], ...}``.

    Keys are image ids or file names; an empty list means no class. Entries of
    images that are not in the dataset are skipped.

    Args:
        json_file (str): The JSON file.
        as_index (bool): Whether the tags are 0-based foreground indices
            instead of names. Defaults to False.
    """

    def __init__(self, json_file: str, as_index: bool = False) -> None:
        self.json_file = json_file
        self.as_index = as_index

    def files(self, images: Mapping[str, str]) -> Iterable[str | Path]:
        """See :meth:`ImageLabelSource.files`."""
        return [self.json_file]

    def load(self, images: Mapping[str, str],
             classes: Sequence[str]) -> Labels:
        """See :meth:`ImageLabelSource.load`."""
        path = existing_path(self.json_file, 'JSONLabels: json_file')
        data = read_label_json(path)
        if not isinstance(data, dict):
            raise ValueError(
                f'{path}: expected an object {{"image": '
                f'["class", ...]}}, but got {type(data).__name__}')
        finder = ImageFinder(images)
        encoder = TagEncoder(classes, as_index=self.as_index)
        labels: Labels = {}
        keys: dict[str, str] = {}
        strangers = []
        for key, tags in data.items():
            where = f'{path}, entry {key!r}'
            if not isinstance(tags, list):
                raise ValueError(
                    f'{where}: expected a list of classes, but got '
                    f'{tags!r}')
            image_id = finder.find(key, where)
            if image_id is None:  # of another split
                strangers.append(key)
                continue
            if image_id in keys:
                raise ValueError(
                    f'{where}: image {image_id!r} was already given as '
                    f'{keys[image_id]!r}. Keep one of the two')
            keys[image_id] = key
            labels[image_id] = encoder.encode(tags, where)
        check_all_labeled(
            labels, images, f'json_file {str(path)!r}',
            'Expected a key for each: the image path relative to the image '
            'folder, with or without extension', strangers)
        return labels
