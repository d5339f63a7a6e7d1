from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mmseg.registry import TASK_UTILS

from .base import ImageLabelSource, Labels
from .image_finder import check_all_labeled
from .label_files import existing_path, label_file
from .label_xml import read_label_xml
from .tag_encoder import TagEncoder


@TASK_UTILS.register_module()
class VOCXMLLabels(ImageLabelSource):
    """Labels from Pascal VOC annotations, one XML file an image.

    The image ``2007_000032`` has the classes named in
    ``<ann_dir>/2007_000032.xml`` under ``object/name``. Files are read in the
    encoding that they declare; names may have a namespace. A document type,
    which can make a parser read other files, is refused.

    Args:
        ann_dir (str): Folder of the XML files, ``Annotations`` of VOC.
        with_difficult (bool): Whether objects marked ``difficult`` count.
            Defaults to True, the rule of the label file that IRN and LPCAM
            ship.
        ignore_unknown (bool): Whether to leave out objects whose name is not
            among the classes, for a subset of the classes. Defaults to
            False: such an object is an error.
    """

    def __init__(self,
                 ann_dir: str,
                 with_difficult: bool = True,
                 *,
                 ignore_unknown: bool = False) -> None:
        self.ann_dir = ann_dir
        self.with_difficult = with_difficult
        self.ignore_unknown = ignore_unknown

    def files(self, images: Mapping[str, str]) -> Iterable[str | Path]:
        """See :meth:`ImageLabelSource.files`."""
        return (label_file(self.ann_dir, image_id, '.xml')
                for image_id in images)

    def load(self, images: Mapping[str, str],
             classes: Sequence[str]) -> Labels:
        """See :meth:`ImageLabelSource.load`."""
        folder = existing_path(
            self.ann_dir, 'VOCXMLLabels: ann_dir', is_folder=True)
        encoder = TagEncoder(classes, ignore_unknown=self.ignore_unknown)
        labels = {}
        for image_id in images:
            path = label_file(folder, image_id, '.xml')
            if path.exists():
                labels[image_id] = encoder.encode(self._names(path), str(path))
        check_all_labeled(labels, images, f'ann_dir {str(folder)!r}',
                          'Expected one <image id>.xml for each')
        return labels

    def _names(self, path: Path) -> list[str]:
        """Return the names of the objects of a file."""
        root = read_label_xml(path)
        objects = root.findall('object')
        if root.tag != 'annotation' or len(objects) < sum(
                1 for _ in root.iter('object')):
            raise ValueError(
                f'{path}: expected <annotation> with all its <object> '
                f'directly inside, as Pascal VOC has it, but got '
                f'<{root.tag}>'
                f'{" with others" if root.tag == "annotation" else ""}')
        names = []
        for number, item in enumerate(objects, start=1):
            name = (item.findtext('name') or '').strip()
            difficult = (item.findtext('difficult') or '0').strip()
            if not name:
                raise ValueError(f'{path}: object {number} has no <name>: '
                                 'write its class there, or remove it')
            if len(item.findall('name')) > 1:
                raise ValueError(f'{path}: object {number} has several '
                                 '<name>: make an object of each')
            if self.with_difficult:
                names.append(name)
            elif difficult not in ('0', '1'):
                raise ValueError(f'{path}: object {number} has difficult='
                                 f'{difficult!r}; expected 0 or 1')
            elif difficult == '0':
                names.append(name)
        return names
