"""Datasets that say what is missing."""
import os.path as osp

from mmengine.fileio import list_from_file
from mmseg.datasets import BaseSegDataset

from mmlpcam.utils import reading
from mmlpcam.utils.names import check_inside


class PathCheckedDataset(BaseSegDataset):
    """Base of datasets that look for their list and folders first.

    MMSegmentation's own datasets stop with a bare assertion, or only when
    the first sample is loaded. Files on other file systems (``backend_args``)
    are not looked for.

    Attributes:
        advice (str): How to get the files: the end of the error message.
    """

    advice = 'correct `data_root`, `data_prefix` or `ann_file`'

    def load_data_list(self) -> list[dict]:
        """Load the list of images.

        Returns:
            list[dict]: One entry per image, as MMSegmentation wants it.

        Raises:
            FileNotFoundError: If the list or a folder is missing.
            ValueError: If a name of the list leads out of the image folder,
                or the list begins with a byte order mark.
        """
        self.check_paths()
        if self.ann_file and not self.backend_args:
            folder = self.data_prefix.get('img_path') or '.'
            with reading(self.ann_file, 'list of images in UTF-8'):
                names = list_from_file(self.ann_file)
            if names and names[0].startswith('\ufeff'):
                raise ValueError(f'{self.ann_file} begins with a byte order '
                                 'mark: save it as UTF-8 without one')
            for name in names:
                if name.strip():
                    check_inside(folder, name.strip(), self.ann_file)
        return super().load_data_list()

    def check_paths(self) -> None:
        """Look for the list and the folders.

        Raises:
            FileNotFoundError: If one is missing.
        """
        if not self.backend_args:
            wanted = [('ann_file', self.ann_file, osp.isfile)]
            wanted += [(key, path, osp.isdir)
                       for key, path in self.data_prefix.items()]
            for key, path, is_there in wanted:
                if path and not is_there(path):
                    raise FileNotFoundError(
                        f'`{key}` of {type(self).__name__} must exist, but '
                        f'{path!r} does not; {self.advice}')
