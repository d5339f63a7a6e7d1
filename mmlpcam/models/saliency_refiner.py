"""Saliency maps as the score of the background (EDAM)."""
from collections.abc import Sequence
from pathlib import Path

import torch
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor

from mmlpcam.structures import ActivationMaps, MapType, register_map_type
from mmlpcam.utils import check_no_stage
from mmlpcam.utils.masks import read_grey_map
from .map_refiner import MapRefiner, TrainingFree

register_map_type(
    MapType('saliency', 'saliency', normalization='none', is_refined=True))


@MODELS.register_module()
class SaliencyRefiner(MapRefiner[Sequence[Tensor]], TrainingFree):
    r"""Stored maps, with 1 - saliency as the score of the background.

    EDAM (Wu et al., CVPR 2021) takes the background from saliency maps, and
    the LPCAM paper does the same on its maps. Here the maps :math:`A_c` of an
    image become

    .. math:: R_c = (A_c + S) / 2

    with its saliency S in [0, 1]. The order of the classes stays, and at the
    background score 0.5 a pixel is class c where :math:`A_c > 1 - S`.
    ``test_cfg`` takes ``bg_thr``, the score of the background plane in
    [0, 1]; it defaults to 0.5.

    Args:
        *args: See :class:`TrainingFree`.
        saliency_dir (str): Folder of the saliency maps, one for each image,
            ``<image_id>.png``, see :func:`mmlpcam.utils.masks.read_grey_map`.
        **kwargs: See :class:`MapRefiner` and :class:`TrainingFree`.
    """

    map_type = 'saliency'
    defaults = dict(bg_thr=0.5)

    def __init__(self, *args, saliency_dir: str, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.saliency_dir = saliency_dir

    def refine(self, images: Sequence[Tensor], maps: Sequence[ActivationMaps],
               data_samples: SampleList) -> list[ActivationMaps]:
        """Put saliency into the maps of a batch.

        Args:
            images (Sequence[Tensor]): Images (3, H, W).
            maps (Sequence[ActivationMaps]): Their maps.
            data_samples (list[:obj:`SegDataSample`]): Their samples.

        Returns:
            list[ActivationMaps]: N maps at the size of the image.

        Raises:
            FileNotFoundError: If an image has no saliency map.
            ValueError: If one is not a grey map, or of another size.
        """
        check_no_stage(self.saliency_dir, 'model.saliency_dir')
        refined = []
        for image, each, sample in zip(images, maps, data_samples):
            saliency = _read(self.saliency_dir, sample.image_id, each.size)
            planes = (each.full() + saliency) / 2
            refined.append(self.refined(each, planes.to(image.device)))
        return refined


def _read(folder: str, image_id: str, size: tuple[int, int]) -> Tensor:
    path = Path(folder) / f'{image_id}.png'
    grey = read_grey_map(path)
    if grey.shape != tuple(size):
        raise ValueError(f'{path} is {grey.shape} (H, W), but the image is '
                         f'{tuple(size)}: make saliency maps of the images '
                         'themselves')
    return torch.from_numpy(grey)
