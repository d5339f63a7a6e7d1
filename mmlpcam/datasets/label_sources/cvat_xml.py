from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mmseg.registry import TASK_UTILS

from .base import ImageLabelSource, Labels
from .image_finder import ImageFinder, check_all_labeled
from .label_files import existing_path
from .label_xml import read_label_xml
from .tag_encoder import TagEncoder

_SHAPES = ('box', 'cuboid', 'ellipse', 'mask', 'points', 'polygon', 'polyline',
           'skeleton')


@TASK_UTILS.register_module()
class CVATXMLLabels(ImageLabelSource):
    """Labels from the tags of images in "CVAT for images 1.1".

    An image of the file without tags shows no class.

    Args:
        xml_file (str): ``annotations.xml`` of the export.
        with_shapes (bool): Whether boxes, polygons, masks and the like count
            as well. Defaults to False.
        ignore_unknown (bool): Whether to leave out labels that are not among
            the classes. Defaults to False: such a label is an error.
    """

    def __init__(self,
                 xml_file: str,
                 *,
                 with_shapes: bool = False,
                 ignore_unknown: bool = False) -> None:
        self.xml_file = xml_file
        self.with_shapes = with_shapes
        self.ignore_unknown = ignore_unknown

    def files(self, images: Mapping[str, str]) -> Iterable[str | Path]:
        """See :meth:`ImageLabelSource.files`."""
        return [self.xml_file]

    def load(self, images: Mapping[str, str],
             classes: Sequence[str]) -> Labels:
        """See :meth:`ImageLabelSource.load`."""
        path = existing_path(self.xml_file, 'CVATXMLLabels: xml_file')
        root = read_label_xml(path)
        entries = root.findall('image')
        if root.tag != 'annotations' or not entries:
            raise ValueError(
                f'{path}: expected <annotations> with an <image> each, but '
                f'got <{root.tag}> with {len(entries)}: export the task as '
                '"CVAT for images 1.1"')
        counted = ('tag', *_SHAPES) if self.with_shapes else ('tag', )
        finder = ImageFinder(images)
        encoder = TagEncoder(classes, ignore_unknown=self.ignore_unknown)
        labels: Labels = {}
        strangers = []
        num_tags = 0
        for entry in entries:
            name = entry.get('name', '')
            where = f'{path}, image {name!r}'
            image_id = finder.find(name, where)
            if image_id is None:
                strangers.append(name)
                continue
            if image_id in labels:
                raise ValueError(f'{where}: another <image> is of this file. '
                                 'Keep one of the two')
            tags = [item.get('label') for item in entry if item.tag in counted]
            num_tags += len(tags)
            labels[image_id] = encoder.encode(tags, where)
        if labels and not num_tags:
            raise ValueError(f'{path} has no tag on any of the images' + (
                '' if self.with_shapes else
                ': if there are boxes or the like, set with_shapes=True'))
        check_all_labeled(labels, images, f'xml_file {str(path)!r}',
                          'Expected an <image> with this name for each',
                          strangers)
        return labels
