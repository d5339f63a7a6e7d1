"""Segmentor whose predictions are class activation maps."""
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.utils import OptSampleList, SampleList
from torch import Tensor

from .map_inference import MAP_DEFAULTS, predict_maps
from .prediction_cfg import complete_test_cfg


@MODELS.register_module()
class CAMSegmentor(EncoderDecoder):
    """Classifier that predicts masks from activation maps.

    Trains as an :class:`EncoderDecoder` with a head that makes maps, such as
    :class:`CAMHead`, as ``decode_head``, or beside another one as
    ``auxiliary_head``. Predicts from the scales and mirror images that the
    head asks for (spatial test-time augmentation is its own, so the test
    pipeline only loads the image), for the classes in ``img_labels`` of the
    sample.

    ``test_cfg`` takes:

    - map_type (str): Maps that give the mask, of those of the head. Defaults
      to 'lpcam'.
    - extra_map_types (Sequence[str]): Further maps from the same features,
      to be compared by :class:`CAMIoUMetric`. Defaults to ().
    - bg_thr (float | str): Score of the background plane, in [0, 1], or
      'otsu' or 'li', see :class:`~mmlpcam.ops.AutoThreshold`. Defaults to 0.3.
    - use_image_labels (bool): False predicts the labels as well. Defaults to
      True.

    What predicted samples hold is listed in
    :func:`~mmlpcam.models.map_inference.set_map_prediction`.

    Raises:
        ValueError: If ``test_cfg`` has a key that is not listed above.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.test_cfg = complete_test_cfg(self, MAP_DEFAULTS)

    def predict(self,
                inputs: Tensor,
                data_samples: OptSampleList = None) -> SampleList:
        """Predict maps and masks.

        Args:
            inputs (Tensor): Normalised images of shape (N, 3, H, W).
            data_samples (list[:obj:`SegDataSample`], optional): Samples;
                those with ``img_labels`` are mapped for these classes only.

        Returns:
            list[:obj:`SegDataSample`]: See
            :func:`~mmlpcam.models.map_inference.set_map_prediction`.
        """
        return predict_maps(self, inputs, data_samples, self.test_cfg)
