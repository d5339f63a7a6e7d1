import os.path as osp
from pathlib import PurePath
from typing import Any

from mmengine.fileio import list_dir_or_file, list_from_file
from mmseg.registry import DATASETS

from mmlpcam.utils import reading
from mmlpcam.utils.names import listed
from .label_sources.image_finder import PHOTO_SUFFIXES, to_nfc
from .path_checked_dataset import PathCheckedDataset


@DATASETS.register_module()
class PhotoFolderDataset(PathCheckedDataset):
    """A folder of photos of mixed formats, with masks for all, some or none.

    Photos are found in all folders below ``img_path`` but hidden ones; all
    other files are left alone. The id of a photo is its path below that
    folder, without extension and with ``/`` between folders.

    Args:
        data_prefix (dict): ``img_path``, the folder of the photos, and, where
            masks are loaded, ``seg_map_path``. The mask of a photo is
            ``<seg_map_path>/<image id><seg_map_suffix>``, an index mask (H,
            W) uint8 of the size of the photo.
        ann_file (str): List of image ids, one a line. Defaults to '', all
            photos of the folder.
        only_masked (bool): Whether to leave out photos without a mask, for
            scores where only a part has one. Defaults to False.
        seg_map_suffix (str): What follows the image id. Defaults to '.png'.
        **kwargs: Other arguments of :class:`mmseg.datasets.BaseSegDataset`,
            such as ``metainfo`` with ``classes``; it refuses unknown ones.

    Raises:
        FileNotFoundError: If the list or a folder is missing.
        ValueError: If there is no photo, two photos share an id, the list
            holds an id that is no photo, or photos and masks do not fit.

    Example:
        >>> dataset = PhotoFolderDataset(
        ...     data_prefix=dict(img_path='photos'),
        ...     metainfo=dict(classes=('background', 'cat', 'dog'))
        ... )  # doctest: +SKIP
    """

    advice = 'relative paths start at the current folder, or at `data_root`'

    def __init__(self,
                 data_prefix: dict,
                 *,
                 ann_file: str = '',
                 only_masked: bool = False,
                 seg_map_suffix: str = '.png',
                 **kwargs: Any) -> None:
        if only_masked and not data_prefix.get('seg_map_path'):
            raise ValueError('PhotoFolderDataset: only_masked=True needs '
                             "data_prefix['seg_map_path'], the folder of the "
                             'masks')
        self.only_masked = only_masked
        super().__init__(
            data_prefix=data_prefix,
            ann_file=ann_file,
            seg_map_suffix=seg_map_suffix,
            **kwargs)

    def load_data_list(self) -> list[dict]:
        """Find the photos, and their masks.

        Returns:
            list[dict]: One entry per photo, as MMSegmentation wants it, in
            the order of the list, or else of the ids.
        """
        self.check_paths()
        photos = self._find_photos()
        image_ids = self._read_list(photos) if self.ann_file else list(photos)
        infos = {
            image_id:
            dict(
                img_path=photos[image_id],
                label_map=self.label_map,
                reduce_zero_label=self.reduce_zero_label,
                seg_fields=[])
            for image_id in image_ids
        }
        if self.data_prefix.get('seg_map_path'):
            self._add_masks(infos, photos)
        return list(infos.values())

    def _files(self, folder: str) -> list[str]:
        """Return the paths below a folder, without hidden files."""
        found = list_dir_or_file(
            folder,
            list_dir=False,
            recursive=True,
            backend_args=self.backend_args)
        return sorted(
            path for path in found
            if not any(part.startswith('.') for part in PurePath(path).parts))

    def _find_photos(self) -> dict[str, str]:
        """Return the path of every photo by its id."""
        folder = self.data_prefix['img_path']
        photos: dict[str, str] = {}
        for path in self._files(folder):
            stem, suffix = osp.splitext(path)
            if suffix.lower() not in PHOTO_SUFFIXES:
                continue
            image_id = stem.replace(osp.sep, '/')
            if image_id in photos:
                raise ValueError(
                    f'two photos in {folder!r} share the id {image_id!r}: '
                    f'{photos[image_id]!r} and {osp.join(folder, path)!r}. '
                    'Tags and masks are found by id: rename one. Masks need '
                    'a folder of their own')
            photos[image_id] = osp.join(folder, path)
        if not photos:
            raise ValueError(
                f'there is no photo in {folder!r} or below: expected files '
                f'that end in {", ".join(PHOTO_SUFFIXES)}')
        return dict(sorted(photos.items()))

    def _read_list(self, photos: dict[str, str]) -> list[str]:
        """Return the ids of ``ann_file``."""
        with reading(self.ann_file, 'list of images in UTF-8'):
            lines = list_from_file(
                self.ann_file,
                encoding='utf-8-sig',  # Windows puts a mark before it
                backend_args=self.backend_args)
        lines = [line for line in lines if line.strip()]
        ids = {to_nfc(image_id): image_id for image_id in photos}
        image_ids = [
            line if line in photos else ids.get(to_nfc(line)) for line in lines
        ]
        unknown = [line for line, i in zip(lines, image_ids) if i is None]
        if unknown:
            raise ValueError(
                f'{len(unknown)} of {len(image_ids)} lines of '
                f'{self.ann_file!r} are no id of a photo in '
                f'{self.data_prefix["img_path"]!r}: {listed(unknown)}. Ids '
                f'are paths without extension, such as {next(iter(photos))!r}')
        return image_ids

    def _add_masks(self, infos: dict[str, dict], photos: dict[str,
                                                              str]) -> None:
        """Add the masks, and drop entries without one where asked to."""
        folder = self.data_prefix['seg_map_path']
        masks = {
            path.removesuffix(self.seg_map_suffix).replace(osp.sep, '/'):
            osp.join(folder, path)
            for path in self._files(folder)
            if path.endswith(self.seg_map_suffix)
        }
        strangers = [path for i, path in masks.items() if i not in photos]
        if strangers:
            raise ValueError(
                f'{len(strangers)} of {len(masks)} masks in {folder!r} belong '
                f'to no photo in {self.data_prefix["img_path"]!r}: '
                f'{listed(strangers)}. Masks have the path of their photo, '
                f'and end in {self.seg_map_suffix!r}: rename or remove them')
        lacking = [image_id for image_id in infos if image_id not in masks]
        if len(lacking) == len(infos):
            raise ValueError(
                f'none of {len(infos)} photos has a mask in {folder!r}: '
                f'expected <image id>{self.seg_map_suffix}, such as '
                f'{lacking[0] + self.seg_map_suffix!r}')
        if lacking and not self.only_masked:
            raise ValueError(
                f'{len(lacking)} of {len(infos)} photos have no mask in '
                f'{folder!r}: {listed(lacking)}. Set only_masked=True to '
                'leave them out')
        for image_id in lacking:
            del infos[image_id]
        for image_id, info in infos.items():
            info['seg_map_path'] = masks[image_id]
