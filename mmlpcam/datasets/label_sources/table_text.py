"""Tables as text: encoding, rows and cells."""
import codecs
import csv
import io
import re
import unicodedata
from pathlib import Path
from typing import NamedTuple

from .image_finder import to_nfc
from .label_files import existing_path

DELIMITERS = {',': 'commas', ';': 'semicolons', '\t': 'tabs', '|': 'bars'}


class Row(NamedTuple):
    """Line number, from 1, and cells without blanks around them."""
    line: int
    cells: list[str]


def read_text(path: str | Path) -> tuple[str, str | None]:
    """Read the text of a table.

    Args:
        path (str | Path): Text file in UTF-8.

    Returns:
        tuple[str, str | None]: The text, and the delimiter that a spreadsheet
        has declared in a first line ``sep=;``, which is made empty.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no text in UTF-8.
    """
    path = existing_path(path, 'CSVLabels: csv_file')
    content = path.read_bytes()
    fix = 'save it as "CSV UTF-8"'
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError(f'{path}: not a CSV file in UTF-8 but in UTF-16: '
                         f'{fix}')
    if content.startswith((b'PK\3\4', b'\xd0\xcf\x11\xe0')):
        raise ValueError(f'{path}: not a CSV file but a spreadsheet or an '
                         f'archive: {fix}')
    line = content.partition(b'\0')[0].count(b'\n') + 1
    if b'\0' in content:
        raise ValueError(f'{path}, line {line}: not a CSV file in UTF-8, it '
                         'holds NUL bytes (UTF-16, or damaged): restore it, '
                         f'or {fix}')
    try:
        # utf-8-sig drops the BOM that spreadsheets write
        text = content.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        line = content[:error.start].count(b'\n') + 1
        raise ValueError(
            f'{path}, line {line}: not a CSV file in UTF-8 ({error.reason}, '
            f'byte {content[error.start]:#x}), maybe Latin-1 or another '
            f'encoding of Windows: {fix}') from error
    declared = re.match(r'sep=([^\r\n"])(?=[\r\n])', text)
    if declared:
        return text[declared.end():], declared[1]
    return text, None


def parse(text: str, delimiter: str) -> list[Row]:
    """Split a text into rows of cells, without empty rows.

    Raises:
        csv.Error: Quotes are not closed.
    """
    reader = csv.reader(
        io.StringIO(text, newline=''),
        delimiter=delimiter,
        skipinitialspace=True,
        strict=True)
    rows = []
    for cells in reader:
        # what cannot be seen must not make another name
        cells = [to_nfc(cell.strip().strip('\u200b\ufeff')) for cell in cells]
        if any(cells):
            rows.append(Row(reader.line_num, cells))
    return rows


def check_cells(path: str | Path, row: Row) -> None:
    """Refuse cells that no table of names and tags has.

    Raises:
        ValueError: If a cell holds a line break or another control character,
            or letters that were lost in a wrong encoding.
    """
    for cell in row.cells:
        bad = next(
            (letter for letter in cell
             if letter == '\ufffd' or unicodedata.category(letter) == 'Cc'),
            None)
        if bad:
            raise ValueError(
                f'{path}, line {row.line}: the cell {cell!r} holds {bad!r}, '
                'a line break, control character or lost letter: write names '
                'and tags in one line each, and close quotes')
