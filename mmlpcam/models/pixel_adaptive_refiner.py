"""Refinement of stored maps by the colours of the photo (PAR)."""
from collections.abc import Sequence

import torch
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor

from mmlpcam.ops import pixel_adaptive_refine
from mmlpcam.structures import ActivationMaps, MapType, register_map_type
from .map_refiner import MapRefiner, TrainingFree

register_map_type(MapType('par', 'PAR', normalization='none', is_refined=True))


@MODELS.register_module()
class PixelAdaptiveRefiner(MapRefiner[Sequence[Tensor]], TrainingFree):
    """Stored maps, refined by :func:`mmlpcam.ops.pixel_adaptive_refine`.

    It has no weights and trains nothing: the fast alternative to a dense CRF.
    ``test_cfg`` takes ``bg_thr``, the score of the background plane in
    [0, 1], or 'otsu' or 'li', and the keyword arguments of that function;
    they default to 0.3 and to its defaults.

    Args:
        *args: See :class:`TrainingFree`.
        **kwargs: See :class:`MapRefiner` and :class:`TrainingFree`.
    """

    map_type = 'par'
    defaults = dict(
        bg_thr=0.3,
        dilations=(1, 2, 4, 8, 12, 24),
        num_iters=15,
        color_scale=0.3,
        position_scale=0.3,
        position_weight=0.01)

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        # settings are checked before the first photo
        pixel_adaptive_refine(
            torch.zeros(0, 1, 1), torch.zeros(3, 1, 1), **self._settings())

    def _settings(self) -> dict:
        return {k: v for k, v in self.test_cfg.items() if k != 'bg_thr'}

    def refine(self, images: Sequence[Tensor], maps: Sequence[ActivationMaps],
               data_samples: SampleList) -> list[ActivationMaps]:
        """Refine the maps of a batch.

        Args:
            images (Sequence[Tensor]): Images (3, H, W).
            maps (Sequence[ActivationMaps]): Their maps.
            data_samples (list[:obj:`SegDataSample`]): Their samples.

        Returns:
            list[ActivationMaps]: N maps at the size of the image.
        """
        return [
            self.refined(
                each,
                pixel_adaptive_refine(each.full().to(image.device), image,
                                      **self._settings()))
            for image, each in zip(images, maps)
        ]
