"""Models that work on stored maps."""
from abc import abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from mmengine.model import BaseModel
from mmseg.structures import SegDataSample
from mmseg.utils import SampleList
from torch import Tensor

from mmlpcam.structures import ActivationMaps, find_map_type, load_maps
from .map_inference import set_map_prediction, without_padding
from .prediction_cfg import complete_test_cfg

# A segmentor gets a batch, a model without data preprocessor single images.
Images = TypeVar('Images', Tensor, Sequence[Tensor])


class MapReader(Generic[Images]):
    """Base of models whose prediction starts from stored maps.

    It comes before the class that makes a model of it,
    :class:`TrainingFree` or a segmentor:
    ``class MyModel(MapReader, TrainingFree)``. A test loop runs it like any
    model, so that loading, progress, several ranks and resuming are those of
    MMEngine.

    Attributes:
        defaults (dict): All keys that ``test_cfg`` takes, with their values.

    Args:
        *args: Of the next class.
        map_dir (str, optional): Folder of the maps, see
            :func:`mmlpcam.structures.load_maps`. Defaults to None, which is
            enough for training.
        **kwargs: Of the next class.

    Raises:
        ValueError: If ``test_cfg`` has a key that is not in ``defaults``.
    """

    defaults: dict = {}

    def __init__(self, *args, map_dir: str | None = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.map_dir = map_dir
        self.test_cfg = complete_test_cfg(self, self.defaults)

    @abstractmethod
    def label(self, images: Images, maps: Sequence[ActivationMaps],
              data_samples: SampleList) -> None:
        """Write predictions into samples.

        Args:
            images (Sequence[Tensor]): N images (3, H, W), as the data
                preprocessor gives them, without padding.
            maps (Sequence[ActivationMaps]): Their maps, on the CPU.
            data_samples (list[:obj:`SegDataSample`]): Their samples, to
                change in place: at least ``pred_sem_seg`` is set.
        """

    def predict(self, inputs: Images, data_samples: SampleList) -> SampleList:
        """Predict from the stored maps of images.

        Args:
            inputs (Sequence[Tensor]): N images (3, H, W).
            data_samples (list[:obj:`SegDataSample`]): Samples with
                ``image_id`` in their metainfo, as from
                :class:`~mmlpcam.datasets.ImageLabelDataset`.

        Returns:
            list[:obj:`SegDataSample`]: What :meth:`label` makes of them.

        Raises:
            FileNotFoundError: If an image has no maps.
            ValueError: If there is no `map_dir`, no ``image_id``, or the
                maps do not fit.
        """
        if self.map_dir is None:
            raise ValueError(f'{type(self).__name__} starts from stored maps: '
                             'set model.map_dir to their folder')
        if isinstance(inputs, Tensor):
            inputs = without_padding(
                inputs, [sample.metainfo for sample in data_samples])
        maps = [
            load_maps(self.map_dir, sample, image.shape[-2:])
            for image, sample in zip(inputs, data_samples)
        ]
        self.label(inputs, maps, data_samples)
        return data_samples


class MapRefiner(MapReader[Images]):
    """Base of models that turn stored maps into better ones.

    Attributes:
        map_type (str): What the maps that it makes are called: a registered
            :class:`~mmlpcam.structures.MapType`.
        defaults (dict): As of :class:`MapReader`; 'bg_thr', the score of the
            background plane in [0, 1], or 'otsu' or 'li', must be there.
    """

    map_type: str
    defaults = dict(bg_thr=0.3)

    @abstractmethod
    def refine(self, images: Images, maps: Sequence[ActivationMaps],
               data_samples: SampleList) -> list[ActivationMaps]:
        """Refine the maps of a batch.

        Args:
            images (Sequence[Tensor]): N images (3, H, W), as the data
                preprocessor gives them, without padding.
            maps (Sequence[ActivationMaps]): Their maps, on the CPU.
            data_samples (list[:obj:`SegDataSample`]): Their samples.

        Returns:
            list[ActivationMaps]: N refined maps of the same labels and size,
            with ``map_type`` as their source.
        """

    def refined(self,
                seeds: ActivationMaps,
                planes: Tensor,
                extent: tuple[int, int] | None = None) -> ActivationMaps:
        """Put refined values in the place of those of stored maps.

        Args:
            seeds (ActivationMaps): The stored maps of an image, n of them.
            planes (Tensor): The refined ones, (n, h, w).
            extent (tuple[int, int], optional): Size (H, W) of the area that
                they cover. Defaults to None: that of the image.

        Returns:
            ActivationMaps: Maps of ``map_type``, of the same labels and size.
        """
        return ActivationMaps.of_kind(
            find_map_type(self.map_type), seeds.labels, [planes], seeds.size,
            extent or seeds.size)

    def label(self, images: Images, maps: Sequence[ActivationMaps],
              data_samples: SampleList) -> None:
        """Write refined maps, and the mask that follows, into samples.

        What they hold is listed in
        :func:`~mmlpcam.models.map_inference.set_map_prediction`.
        """
        for sample, refined in zip(data_samples,
                                   self.refine(images, maps, data_samples)):
            set_map_prediction(sample, {self.map_type: refined}, self.map_type,
                               self.test_cfg['bg_thr'])


class TrainingFree(BaseModel):
    """A model that has nothing to learn.

    Args:
        test_cfg (dict, optional): Its settings. Defaults to None.
        data_preprocessor (dict, optional): See :class:`BaseModel`. Defaults
            to None: images stay uint8, BGR, one by one.
    """

    def __init__(self,
                 test_cfg: dict | None = None,
                 data_preprocessor: dict | None = None) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        self.test_cfg = test_cfg or {}

    def forward(self,
                inputs: Sequence[Tensor],
                data_samples: list[SegDataSample],
                mode: str = 'predict') -> SampleList:
        """Predict.

        Args:
            inputs (Sequence[Tensor]): Images (3, H, W).
            data_samples (list[:obj:`SegDataSample`]): Their samples.
            mode (str): 'predict' is all there is.

        Returns:
            list[:obj:`SegDataSample`]: The samples, with predictions.

        Raises:
            ValueError: If the mode is another.
        """
        if mode != 'predict':
            raise ValueError(f'{type(self).__name__} has nothing to train: '
                             f'mode {mode!r}')
        return self.predict(inputs, data_samples)
