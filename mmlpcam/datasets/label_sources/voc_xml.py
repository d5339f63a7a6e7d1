import codecs
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from mmseg.registry import TASK_UTILS

from .base import ImageLabelSource, Labels
from .image_finder import check_all_labeled
from .label_files import existing_path, label_file
from .tag_encoder import TagEncoder

_DECLARATION = re.compile(r'\s*<\?xml\b([^>]*)\?>')
_ENCODING = re.compile(r'encoding\s*=\s*["\']([\w.:-]+)["\']')
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: 'utf-8',
    codecs.BOM_UTF16_LE: 'utf-16-le',
    codecs.BOM_UTF16_BE: 'utf-16-be'
}
# What Windows calls by these names holds more letters than their standards.
_WIDER = {'gb2312': 'gb18030', 'gbk': 'gb18030', 'shift_jis': 'cp932'}


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
        root = _read_xml(path)
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


def _read_xml(path: Path) -> ElementTree.Element:
    """Read an XML file whose tags then have no namespace."""
    try:
        text = _decode(path.read_bytes())
        if '<!DOCTYPE' in text or '<!ENTITY' in text:
            raise ValueError('it has a document type (<!DOCTYPE ...>), which '
                             'is refused: remove it')
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise ValueError(f'{path}: not valid XML: {error}') from error
    for element in root.iter():
        if isinstance(element.tag, str):
            element.tag = element.tag.rpartition('}')[2]
    return root


def _decode(content: bytes) -> str:
    """Decode an XML file, and cut its declaration off."""
    mark = next((m for m in _BYTE_ORDER_MARKS if content.startswith(m)), b'')
    head = _DECLARATION.match(content[:200].decode('latin1'))
    declared = head and _ENCODING.search(head[1])
    encoding = _BYTE_ORDER_MARKS.get(
        mark, declared[1].lower() if declared else 'utf-8')
    content = content[len(mark):]
    try:
        text = content.decode(_WIDER.get(encoding.replace('-', '_'), encoding))
    except UnicodeDecodeError as error:
        raise ValueError(
            f'it is not in {encoding}, its encoding by the first line (UTF-8 '
            f'where that says none): {error}. Save it in UTF-8') from error
    if '\0' in text:
        raise ValueError('it holds NUL bytes: save it in UTF-8')
    return _DECLARATION.sub('', text, count=1).lstrip()
