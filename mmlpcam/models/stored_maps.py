"""Stored maps in, the same maps and their mask out."""
from collections.abc import Mapping
from dataclasses import replace

from mmengine.model import BaseModel
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import SampleList
from torch import Tensor

from mmlpcam.structures import ActivationMaps, load_maps
from .cam_segmentor import checked_test_cfg, set_map_prediction


@MODELS.register_module()
class StoredMaps(BaseModel):
    """Model without weights that predicts the maps that a stage has stored.

    It takes the place of the model that has made them, in a test loop, to
    score them or to write their masks at another threshold, without a
    network. What predicted samples hold is listed in
    :func:`~mmlpcam.models.cam_segmentor.set_map_prediction`.

    Args:
        map_dir (str): Folder of the maps that give the mask, see
            :func:`mmlpcam.structures.load_maps`.
        extra_map_dirs (Mapping[str, str], optional): Folders of further maps
            by map type, to be compared by :class:`CAMIoUMetric`. Defaults to
            None.
        test_cfg (dict, optional): ``bg_thr``, the score of the background
            plane of the mask, in [0, 1]. Defaults to None: 0.3.

    Raises:
        ValueError: If ``test_cfg`` has another key.
    """

    def __init__(self,
                 map_dir: str,
                 extra_map_dirs: Mapping[str, str] | None = None,
                 test_cfg: dict | None = None) -> None:
        super().__init__()
        self.map_dir = map_dir
        self.extra_map_dirs = dict(extra_map_dirs or {})
        self.test_cfg = test_cfg
        self.test_cfg = checked_test_cfg(self, dict(bg_thr=0.3))

    def forward(self,
                inputs: list[Tensor],
                data_samples: SampleList,
                mode: str = 'predict') -> SampleList:
        """Load the maps of a batch.

        Args:
            inputs (list[Tensor]): Images (3, H, W), in the size in which
                the maps were made.
            data_samples (list[:obj:`SegDataSample`]): Samples with
                ``image_id`` in their metainfo, as from
                :class:`~mmlpcam.datasets.ImageLabelDataset`.
            mode (str): 'predict' is all there is.

        Returns:
            list[:obj:`SegDataSample`]: See the class.

        Raises:
            FileNotFoundError: If an image has no maps.
            ValueError: If the mode is another, or maps do not fit.
        """
        if mode != 'predict':
            raise ValueError(f'StoredMaps has nothing to train: mode {mode!r}')
        for image, sample in zip(inputs, data_samples):
            chosen = _load(self.map_dir, sample, image)
            found = {chosen.source: chosen}
            for name, folder in self.extra_map_dirs.items():
                found[name] = _load(folder, sample, image)
            set_map_prediction(
                sample,
                found,
                chosen.source,
                self.test_cfg['bg_thr'],
                num_classes=max(chosen.labels, default=0) + 2)
        return data_samples


def _load(folder: str, sample: SegDataSample, image: Tensor) -> ActivationMaps:
    maps = load_maps(folder, sample, tuple(image.shape[-2:]))
    # to be resized where they were made: devices round differently
    scales = [each.to(image.device) for each in maps.scales]
    return replace(maps, scales=scales)
