"""XML files of labels."""
import codecs
import re
from pathlib import Path
from xml.etree import ElementTree

_DECLARATION = re.compile(r'\s*<\?xml\b([^>]*)\?>')
_ENCODING = re.compile(r'encoding\s*=\s*["\']([\w.:-]+)["\']')
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: 'utf-8',
    codecs.BOM_UTF16_LE: 'utf-16-le',
    codecs.BOM_UTF16_BE: 'utf-16-be'
}
# What Windows calls by these names holds more letters than their standards.
_WIDER = {'gb2312': 'gb18030', 'gbk': 'gb18030', 'shift_jis': 'cp932'}


def read_label_xml(path: Path) -> ElementTree.Element:
    """Read an XML file, in the encoding that it declares.

    A document type, which can make a parser read other files, is refused.

    Args:
        path (Path): XML file.

    Returns:
        ElementTree.Element: Its root. Tags have no namespace.

    Raises:
        OSError: If it cannot be opened.
        ValueError: If it is no XML. The message names the file.
    """
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
