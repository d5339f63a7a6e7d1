from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mmseg.registry import TASK_UTILS

from mmlpcam.utils import reading
from .base import ImageLabelSource, Labels
from .image_finder import ImageFinder, check_all_labeled
from .label_files import existing_path, read_label_json
from .tag_encoder import TagEncoder


@TASK_UTILS.register_module()
class MMPretrainJSONLabels(ImageLabelSource):
    """Labels from the annotation file of MMPretrain's ``MultiLabelDataset``.

    ``metainfo.classes`` names what the indices in ``gt_label`` of each entry
    of ``data_list`` mean; they are matched to the classes by name.

    Args:
        json_file (str): The annotation file.
        ignore_unknown (bool): Whether to leave out labels that are not among
            the classes. Defaults to False: such a label is an error.
    """

    def __init__(self,
                 json_file: str,
                 *,
                 ignore_unknown: bool = False) -> None:
        self.json_file = json_file
        self.ignore_unknown = ignore_unknown

    def files(self, images: Mapping[str, str]) -> Iterable[str | Path]:
        """See :meth:`ImageLabelSource.files`."""
        return [self.json_file]

    def load(self, images: Mapping[str, str],
             classes: Sequence[str]) -> Labels:
        """See :meth:`ImageLabelSource.load`."""
        path = existing_path(self.json_file, 'MMPretrainJSONLabels: json_file')
        content = read_label_json(path)
        with reading(path, 'annotation file of MultiLabelDataset'):
            names = content['metainfo']['classes']
            entries = content['data_list']
            if not isinstance(names, list) or not all(
                    isinstance(name, str) for name in names):
                raise ValueError('expected a list of names as '
                                 f'metainfo.classes, but got {names!r:.80}')
            if not isinstance(entries, list):
                raise ValueError('expected a list as data_list, but got '
                                 f'{entries!r:.80}')
            indices = TagEncoder(names, as_index=True)
        finder = ImageFinder(images)
        encoder = TagEncoder(classes, ignore_unknown=self.ignore_unknown)
        labels: Labels = {}
        strangers = []
        for number, entry in enumerate(entries):
            where = f'{path}, data_list[{number}]'
            with reading(where, 'entry with img_path and gt_label'):
                name, found = entry['img_path'], entry['gt_label']
                if not isinstance(name, str):
                    raise ValueError('expected a path as img_path, but got '
                                     f'{name!r:.80}')
                image_id = finder.find(name, where)
                if not isinstance(found, list):
                    raise ValueError('expected a list as gt_label, but got '
                                     f'{found!r}')
            if image_id is None:
                strangers.append(name)
                continue
            if image_id in labels:
                raise ValueError(f'{where}: another entry is of {name!r}. '
                                 'Keep one of the two')
            tags = [names[index] for index in indices.encode(found, where)]
            labels[image_id] = encoder.encode(tags, where)
        check_all_labeled(
            labels, images, f'json_file {str(path)!r}',
            'Expected an entry for each, whose img_path starts at the image '
            'folder', strangers)
        return labels
