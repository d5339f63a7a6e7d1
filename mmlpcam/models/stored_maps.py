"""Stored maps in, the same maps and their mask out."""
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor

from mmlpcam.structures import ActivationMaps, load_maps
from .map_inference import set_map_prediction
from .map_refiner import MapReader, TrainingFree


@MODELS.register_module()
class StoredMaps(MapReader[Sequence[Tensor]], TrainingFree):
    """Model without weights that predicts the maps that a stage has stored.

    It takes the place of the model that has made them, in a test loop, to
    score them or to write their masks at another threshold, without a
    network. What predicted samples hold is listed in
    :func:`~mmlpcam.models.map_inference.set_map_prediction`. ``test_cfg``
    takes ``bg_thr``, the score of the background plane of the mask, in
    [0, 1], or 'otsu' or 'li'; it defaults to 0.3.

    Args:
        *args: See :class:`TrainingFree`.
        extra_map_dirs (Mapping[str, str], optional): Folders of further maps
            by map type, to be compared by :class:`CAMIoUMetric`. Defaults to
            None.
        **kwargs: See :class:`MapReader` and :class:`TrainingFree`.
    """

    defaults = dict(bg_thr=0.3)

    def __init__(self,
                 *args,
                 extra_map_dirs: Mapping[str, str] | None = None,
                 **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.extra_map_dirs = dict(extra_map_dirs or {})

    def label(self, images: Sequence[Tensor], maps: Sequence[ActivationMaps],
              data_samples: SampleList) -> None:
        """Write maps, and the mask that follows, into samples."""
        for image, chosen, sample in zip(images, maps, data_samples):
            found = {chosen.source: chosen}
            for name, folder in self.extra_map_dirs.items():
                found[name] = load_maps(folder, sample, image.shape[-2:])
            # to be resized where they were made: devices round differently
            found = {
                name:
                replace(
                    each,
                    scales=[scale.to(image.device) for scale in each.scales])
                for name, each in found.items()
            }
            set_map_prediction(sample, found, chosen.source,
                               self.test_cfg['bg_thr'])
