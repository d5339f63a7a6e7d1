import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mmengine.logging import print_log
from mmseg.registry import TASK_UTILS

from .base import ImageLabelSource, Labels
from .image_finder import ImageFinder, check_all_labeled
from .table_reader import LAYOUTS, TagTable, read_tag_table
from .tag_encoder import TagEncoder


@TASK_UTILS.register_module()
class CSVLabels(ImageLabelSource):
    """Labels from a table: the image in the first column, then its tags.

    Three layouts are read, see :func:`read_tag_table`. In all of them columns
    are separated by a comma, a semicolon, a tab or a bar, and a header line
    is optional but for ``one_hot``. What was understood is logged; what is
    ambiguous is refused with its line. Rows of images that are not in the
    dataset are skipped, so one file can serve all splits.

    Args:
        csv_file (str): Text file in UTF-8, with or without a BOM.
        sep (str, optional): What separates tags inside a cell. Defaults to
            None: the one of ``; , |`` that is found there.
        delimiter (str, optional): What separates columns. Defaults to None:
            the one with which rows name images.
        layout (str, optional): 'tags', 'one_hot' or 'long'. Defaults to
            None: by the content.
        as_index (bool): Whether the tags are 0-based foreground indices
            instead of names. Defaults to False.

    Raises:
        ValueError: If an option has no meaning.
    """

    def __init__(self,
                 csv_file: str,
                 sep: str | None = None,
                 *,
                 delimiter: str | None = None,
                 layout: str | None = None,
                 as_index: bool = False) -> None:
        if sep == '':
            raise ValueError('CSVLabels: sep must not be empty')
        if delimiter is not None and (len(delimiter) != 1
                                      or delimiter in '"\r\n'):
            raise ValueError('CSVLabels: delimiter must be one character, '
                             f'but got {delimiter!r}')
        if layout not in (None, *LAYOUTS):
            raise ValueError(f'CSVLabels: layout must be one of {LAYOUTS} or '
                             f'None, but got {layout!r}')
        if layout == 'one_hot' and (sep is not None or as_index):
            raise ValueError("CSVLabels: layout='one_hot' has no tags in its "
                             'cells: leave out sep and as_index')
        self.csv_file = csv_file
        self.sep = sep
        self.delimiter = delimiter
        self.layout = layout
        self.as_index = as_index

    def read(self, images: Iterable[str],
             classes: Sequence[str] = ()) -> TagTable:
        """Read the table as it is written.

        Args:
            images (Iterable[str]): Unique image ids.
            classes (Sequence[str]): Foreground class names, where they are
                known: such a name is one tag, whatever it holds.

        Returns:
            TagTable: The tags of each image.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is no table of tags, or an ambiguous one.
        """
        return read_tag_table(
            self.csv_file,
            ImageFinder(images),
            sep=self.sep,
            delimiter=self.delimiter,
            layout=self.layout,
            as_index=self.as_index,
            classes=classes)

    def files(self, images: Mapping[str, str]) -> Iterable[str | Path]:
        """See :meth:`ImageLabelSource.files`."""
        return [self.csv_file]

    def load(self, images: Mapping[str, str],
             classes: Sequence[str]) -> Labels:
        """See :meth:`ImageLabelSource.load`."""
        encoder = TagEncoder(classes, as_index=self.as_index)
        table = self.read(images, classes)
        print_log(table.summary(), logger='current', level=logging.INFO)
        labels = {
            image_id: encoder.encode(tags, table.where(image_id))
            for image_id, tags in table.tags.items()
        }
        check_all_labeled(
            labels, images, f'csv_file {str(self.csv_file)!r}',
            'Each needs a row that begins with its name, without the image '
            'folder; one that shows no class has no tags',
            [name for _, name in table.strangers])
        return labels
