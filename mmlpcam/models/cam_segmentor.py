"""Segmentor whose predictions are class activation maps."""
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import OptSampleList, SampleList
from torch import Tensor

from mmlpcam.structures import ActivationMaps
from .cam_head import find_cam_head

MAP_DEFAULTS = dict(
    map_type='lpcam',
    extra_map_types=(),
    scales=(1.0, 0.5, 1.5, 2.0),
    flip=True,
    stride=16,
    bg_thr=0.3,
    use_image_labels=True)


@MODELS.register_module()
class CAMSegmentor(EncoderDecoder):
    """Classifier that predicts masks from activation maps.

    Trains as an :class:`EncoderDecoder` with a :class:`CAMHead` as
    ``decode_head``, or beside another one as ``auxiliary_head``. Predicts
    from several scales and mirror images of the image (spatial test-time
    augmentation is its own, so the test pipeline only loads the image), for
    the classes in ``img_labels`` of the sample.

    ``test_cfg`` takes:

    - map_type (str): Maps that give the mask: 'cam', 'lpcam_f' or 'lpcam'.
      Defaults to 'lpcam'.
    - extra_map_types (Sequence[str]): Further maps from the same features,
      to be compared by :class:`CAMIoUMetric`. Defaults to ().
    - scales (Sequence[float]): Defaults to (1.0, 0.5, 1.5, 2.0).
    - flip (bool): Defaults to True.
    - stride (int): Output stride of the backbone. Defaults to 16.
    - bg_thr (float): Score of the background plane, in [0, 1]. Defaults to
      0.3.
    - use_image_labels (bool): False predicts the labels as well. Defaults to
      True.

    What predicted samples hold is listed in :func:`set_map_prediction`.

    Raises:
        ValueError: If ``test_cfg`` has a key that is not listed above.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.test_cfg = checked_test_cfg(self, MAP_DEFAULTS)

    def predict(self,
                inputs: Tensor,
                data_samples: OptSampleList = None) -> SampleList:
        """Predict maps and masks.

        Args:
            inputs (Tensor): Normalised images of shape (N, 3, H, W).
            data_samples (list[:obj:`SegDataSample`], optional): Samples;
                those with ``img_labels`` are mapped for these classes only.

        Returns:
            list[:obj:`SegDataSample`]: See :func:`set_map_prediction`.
        """
        return predict_maps(self, inputs, data_samples, self.test_cfg)


def predict_maps(model: EncoderDecoder, inputs: Tensor,
                 data_samples: OptSampleList, cfg: dict) -> SampleList:
    """Predict maps and masks with the :class:`CAMHead` of a segmentor.

    Args:
        model (EncoderDecoder): Any segmentor that has one.
        inputs (Tensor): Normalised images of shape (N, 3, H, W).
        data_samples (list[:obj:`SegDataSample`], optional): Samples; those
            with ``img_labels`` are mapped for these classes only.
        cfg (dict): All of what ``test_cfg`` of :class:`CAMSegmentor` holds.

    Returns:
        list[:obj:`SegDataSample`]: See :func:`set_map_prediction`.

    Raises:
        ValueError: If images were mirrored.
    """
    head = find_cam_head(model)
    if data_samples is None:
        data_samples = [SegDataSample() for _ in inputs]
    metas = [sample.metainfo for sample in data_samples]
    if any(meta.get('flip') for meta in metas):
        raise ValueError(
            'maps fuse mirror images themselves (`flip` of CAMSegmentor and '
            'PrototypeBankHook): take RandomFlip out of the pipeline, or drop '
            '--tta')
    inputs = without_padding(inputs, metas)
    labels = head.image_labels(model.extract_feat, inputs,
                               metas if cfg['use_image_labels'] else None)
    map_types = dict.fromkeys((cfg['map_type'], *cfg['extra_map_types']))
    found = head.multi_scale_maps(
        model.extract_feat,
        inputs,
        labels,
        map_types=list(map_types),
        scales=cfg['scales'],
        flip=cfg['flip'],
        stride=cfg['stride'])
    for sample, maps in zip(data_samples, found):
        set_map_prediction(sample, maps, cfg['map_type'], cfg['bg_thr'],
                           head.num_classes)
    return data_samples


def checked_test_cfg(model: EncoderDecoder, defaults: dict) -> dict:
    """Complete the ``test_cfg`` of a model.

    Args:
        model (EncoderDecoder): The model.
        defaults (dict): All keys that it takes.

    Returns:
        dict: Its ``test_cfg``, with defaults where a key is missing.

    Raises:
        ValueError: If it has a key that is not among the defaults.
    """
    given = dict(model.test_cfg or {})
    unknown = set(given) - set(defaults)
    if unknown:
        raise ValueError(f'unknown keys {sorted(unknown)} in model.test_cfg; '
                         f'{type(model).__name__} takes {sorted(defaults)}')
    return {**defaults, **given}


def set_map_prediction(sample: SegDataSample, maps: dict[str, ActivationMaps],
                       map_type: str, bg_thr: float, num_classes: int) -> None:
    """Fill a sample with maps and the mask that follows from them.

    The sample then holds ``map_type``; ``img_labels``, the n classes in the
    order of the maps; ``scale_maps``, the :class:`ActivationMaps` behind the
    mask; ``extra_maps``, those of the other map types, by type;
    ``activation``, a :obj:`PixelData` with the maps (n, H, W) of each
    map type at the size of the original image; ``seg_logits`` (num_classes,
    H, W), the maps of `map_type` behind a background plane of `bg_thr`; and
    ``pred_sem_seg``, its argmax.

    Args:
        sample (:obj:`SegDataSample`): Sample to change in place.
        maps (dict[str, ActivationMaps]): Maps by map type.
        map_type (str): The maps that give the mask.
        bg_thr (float): Score of the background, in [0, 1].
        num_classes (int): Number of classes with the background.
    """
    chosen = maps[map_type]
    size = sample.metainfo.get('ori_shape', chosen.size)[:2]
    full = {name: _fit(value.full(), size) for name, value in maps.items()}
    logits = full[map_type].new_zeros(num_classes, *size)
    logits[0] = bg_thr
    logits[[label + 1 for label in chosen.labels]] = full[map_type]
    # PixelData does not keep the order of its fields
    sample.set_metainfo(dict(img_labels=chosen.labels, map_type=map_type))
    sample.set_data(
        dict(
            scale_maps=chosen,
            extra_maps={
                name: value
                for name, value in maps.items() if name != map_type
            },
            activation=PixelData(**full),
            seg_logits=PixelData(data=logits),
            # the first maximum wins: the background at equality
            pred_sem_seg=PixelData(data=logits.argmax(0, keepdim=True))))


def without_padding(inputs: Tensor, metas: list[dict]) -> Tensor:
    """Cut off what the data preprocessor added at the right and bottom."""
    meta = metas[0]
    padding = meta.get('img_padding_size', meta.get('padding_size', (0, ) * 4))
    height, width = inputs.shape[-2:]
    return inputs[..., :height - padding[3], :width - padding[1]]


def _fit(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize maps where the test pipeline has resized the image."""
    if tuple(maps.shape[-2:]) == tuple(size):
        return maps
    if not len(maps):
        return maps.new_zeros(0, *size)
    return F.interpolate(
        maps[None], size=tuple(size), mode='bilinear', align_corners=False)[0]
