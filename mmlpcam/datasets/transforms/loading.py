import mmengine.fileio
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.registry import TRANSFORMS

from mmlpcam.utils import reading
from mmlpcam.utils.photos import decode_photo


@TRANSFORMS.register_module()
class LoadPhoto(LoadImageFromFile):
    """Load a photo of any kind as it is meant to be seen.

    ``LoadImageFromFile`` cuts 16 bits to their high byte, leaves TIFFs on
    their side, and does not say which file is damaged; see
    :func:`~mmlpcam.utils.photos.decode_photo`. Photos of 8 bits are the same
    with both.

    Required Keys:

    - img_path (str)

    Modified Keys:

    - img (np.ndarray): ``(H, W, 3)`` uint8, BGR.
    - img_shape (tuple[int, int])
    - ori_shape (tuple[int, int])

    Args:
        backend_args (dict, optional): As in ``LoadImageFromFile``.
    """

    def __init__(self, *, backend_args: dict | None = None) -> None:
        super().__init__(backend_args=backend_args)

    def transform(self, results: dict) -> dict:
        """Load the photo.

        Args:
            results (dict): Data info.

        Returns:
            dict: The same with the modified keys.

        Raises:
            OSError: If the file cannot be opened.
            ValueError: If the file is damaged, or no photo.
        """
        path = results['img_path']
        with reading(path, 'photo'):
            photo = decode_photo(
                mmengine.fileio.get(path, backend_args=self.backend_args))
        results['img'] = photo
        results['img_shape'] = results['ori_shape'] = photo.shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(backend_args={self.backend_args})'


@TRANSFORMS.register_module()
class LoadPseudoLabel(LoadAnnotations):
    """Load a pseudo label, or an all-ignore map where there is none.

    :class:`PseudoLabelDataset` with ``missing='ignore'`` sets
    ``seg_map_path=None`` for an image without a mask. Such an image gets a
    map full of ``ignore_index``, at the size of the loaded image, so that it
    adds nothing to the loss. With a path it does what ``LoadAnnotations``
    does.

    Required Keys:

    - seg_map_path (str | None)
    - img (np.ndarray): only where ``seg_map_path`` is None.

    Added Keys:

    - seg_fields (list[str])
    - gt_seg_map (np.ndarray): ``(H, W)`` uint8.

    Args:
        ignore_index (int): Value of every pixel of a missing mask, in
            [0, 255]. Defaults to 255.
        backend_args (dict, optional): As in ``LoadAnnotations``.
        imdecode_backend (str): As in ``LoadAnnotations``. Defaults to
            'pillow', which keeps the indices of a palette image.

    Raises:
        ValueError: If ``ignore_index`` does not fit into uint8.
    """

    def __init__(self,
                 ignore_index: int = 255,
                 *,
                 backend_args: dict | None = None,
                 imdecode_backend: str = 'pillow') -> None:
        if not 0 <= ignore_index <= 255:
            raise ValueError(
                'LoadPseudoLabel: ignore_index must be in [0, 255] (masks '
                f'are uint8), but got {ignore_index}')
        super().__init__(
            backend_args=backend_args, imdecode_backend=imdecode_backend)
        self.ignore_index = ignore_index

    def _load_seg_map(self, results: dict) -> None:
        """Set ``gt_seg_map`` and list it in ``seg_fields``."""
        if results['seg_map_path'] is not None:
            super()._load_seg_map(results)
            return
        if 'img' not in results:
            raise ValueError(
                'LoadPseudoLabel needs the loaded image to know the size of '
                'an all-ignore map: put LoadImageFromFile before it in the '
                'pipeline')
        results['gt_seg_map'] = np.full(
            results['img'].shape[:2], self.ignore_index, dtype=np.uint8)
        results['seg_fields'].append('gt_seg_map')

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(ignore_index={self.ignore_index}, '
                f"imdecode_backend='{self.imdecode_backend}', "
                f'backend_args={self.backend_args})')
