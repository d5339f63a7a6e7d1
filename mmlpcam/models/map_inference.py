"""From a model and images to maps and masks."""
import logging
from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.structures import SegDataSample
from mmseg.utils import OptSampleList, SampleList
from torch import Tensor

from mmlpcam.ops import background_score
from mmlpcam.structures import ActivationMaps, find_map_type
from .map_head import find_map_head
from .map_settings import MapSettings

MAP_DEFAULTS = dict(
    map_type='lpcam', extra_map_types=(), bg_thr=0.3, use_image_labels=True)


@torch.no_grad()
def multi_scale_maps(
    model: EncoderDecoder,
    images: Tensor,
    labels: Sequence[Sequence[int]],
    map_types: Sequence[str],
    settings: MapSettings | None = None,
    visit: Callable[[float, Sequence[Tensor]], None] | None = None
) -> list[dict[str, ActivationMaps]]:
    """Compute maps over scales and mirror images.

    Args:
        model (EncoderDecoder): Any segmentor with a
            :class:`~mmlpcam.models.map_head.MapHead`.
        images (Tensor): Normalised images of shape (N, 3, H, W).
        labels (Sequence[Sequence[int]]): 0-based foreground classes to map,
            for each image.
        map_types (Sequence[str]): Of those of the head.
        settings (MapSettings, optional): Scales and the like. Defaults to
            None: those of the head.
        visit (Callable, optional): Called with each scale and its multi-level
            features, those of the mirror images behind those of the images.
            Defaults to None: features are made only where there is a class to
            map.

    Returns:
        list[dict[str, ActivationMaps]]: For each image, its maps of each map
        type.

    Raises:
        ValueError: If the head makes no such maps, or the features do not
            have its stride.
    """
    head = find_map_head(model)
    settings = settings or head.settings
    for map_type in map_types:
        head.check_map_type(map_type)
    classes = sorted(set().union(*labels))
    size = (images.shape[2], images.shape[3])
    found: dict[str, list[Tensor]] = {name: [] for name in map_types}
    for scale, views in scaled_views(images, settings.scales, settings.flip):
        area = (views.shape[2], views.shape[3])
        cells = settings.cells(area)
        if min(cells) < 1:
            raise ValueError(
                f'an image of {size} pixels is {area} at scale {scale}, but a '
                f'cell of its features takes {settings.stride}: leave the '
                'scale out of `scales`, or leave such images out')
        if classes or visit:
            feats = head.with_labels(
                model.extract_feat(views),
                [*labels] * (len(views) // len(images)))
        if visit:
            visit(scale, feats)
        if not classes:  # nothing to look for
            for of_type in found.values():
                of_type.append(images.new_zeros(len(images), 0, *cells))
            continue
        for map_type in map_types:
            maps = head.maps(feats, map_type, classes, flip=settings.flip)
            if tuple(maps.shape[-2:]) != cells:
                raise ValueError(
                    f'features of {area} images should be {cells} at stride '
                    f'{settings.stride}, but are '
                    f'{tuple(maps.shape[-2:])}: set `stride` of the '
                    f'{type(head).__name__} to the output stride of the '
                    'backbone, and `rounding` to what that does with pixels '
                    'that are left over')
            found[map_type].append(maps)
    kinds = [find_map_type(name) for name in map_types]
    return [{
        kind.name:
        ActivationMaps.of_kind(kind, present, [
            maps[i, [classes.index(label) for label in present]]
            for maps in found[kind.name]
        ], size, settings.extent(size))
        for kind in kinds
    } for i, present in enumerate(labels)]


def image_labels(model: EncoderDecoder, images: Tensor,
                 metas: Sequence[dict] | None) -> list[tuple[int, ...]]:
    """Take the labels of images, or predict them where there are none.

    Args:
        model (EncoderDecoder): Any segmentor with a
            :class:`~mmlpcam.models.map_head.MapHead`.
        images (Tensor): Normalised images of shape (N, 3, H, W).
        metas (Sequence[dict], optional): Metainfo per image. Labels are
            predicted (probability > 0.5) if any lacks `img_labels`.

    Returns:
        list[tuple[int, ...]]: 0-based foreground classes per image.
    """
    if metas is not None and all('img_labels' in m for m in metas):
        return [tuple(meta['img_labels']) for meta in metas]
    head = find_map_head(model)
    if not getattr(head, '_told_predicted', False):
        head._told_predicted = True
        print_log(
            'Images without image labels: maps are made for the classes '
            'that the classifier itself finds (probability > 0.5).',
            logger='current',
            level=logging.WARNING)
    with torch.no_grad():
        found = head.classify(model.extract_feat(images)) > 0
    return [tuple(torch.nonzero(row).flatten().tolist()) for row in found]


@torch.no_grad()
def classify_images(model: EncoderDecoder, inputs: Tensor,
                    data_samples: SampleList) -> SampleList:
    """Classify whole images, at one scale and without maps.

    Args:
        model (EncoderDecoder): Any segmentor with a
            :class:`~mmlpcam.models.map_head.MapHead`.
        inputs (Tensor): Normalised images of shape (N, 3, H, W).
        data_samples (list[:obj:`SegDataSample`]): Their samples.

    Returns:
        list[:obj:`SegDataSample`]: The same, each with ``img_scores``, a
        list of the probability of each foreground class, in [0, 1].
    """
    images = without_padding(inputs, [s.metainfo for s in data_samples])
    logits = find_map_head(model).classify(model.extract_feat(images))
    for sample, scores in zip(data_samples, logits.float().sigmoid()):
        sample.set_metainfo(dict(img_scores=scores.tolist()))
    return data_samples


def predict_maps(model: EncoderDecoder,
                 inputs: Tensor,
                 data_samples: OptSampleList,
                 cfg: dict,
                 settings: MapSettings | None = None) -> SampleList:
    """Predict maps and masks with the head of a segmentor that makes maps.

    Args:
        model (EncoderDecoder): Any segmentor with a
            :class:`~mmlpcam.models.map_head.MapHead`.
        inputs (Tensor): Normalised images of shape (N, 3, H, W).
        data_samples (list[:obj:`SegDataSample`], optional): Samples; those
            with ``img_labels`` are mapped for these classes only.
        cfg (dict): All of what ``test_cfg`` of :class:`CAMSegmentor` holds.
        settings (MapSettings, optional): Scales and the like. Defaults to
            None: those of the head.

    Returns:
        list[:obj:`SegDataSample`]: See :func:`set_map_prediction`.

    Raises:
        ValueError: If images were mirrored.
    """
    if data_samples is None:
        data_samples = [SegDataSample() for _ in inputs]
    metas = [sample.metainfo for sample in data_samples]
    if any(meta.get('flip') for meta in metas):
        raise ValueError(
            'maps fuse mirror images themselves (`flip` of the head): take '
            'RandomFlip out of the pipeline, or drop --tta')
    inputs = without_padding(inputs, metas)
    labels = image_labels(model, inputs,
                          metas if cfg['use_image_labels'] else None)
    map_types = dict.fromkeys((cfg['map_type'], *cfg['extra_map_types']))
    found = multi_scale_maps(model, inputs, labels, list(map_types), settings)
    for sample, maps in zip(data_samples, found):
        set_map_prediction(sample, maps, cfg['map_type'], cfg['bg_thr'])
    return data_samples


def set_map_prediction(sample: SegDataSample, maps: dict[str, ActivationMaps],
                       map_type: str, bg_thr: float | str) -> None:
    """Fill a sample with maps and the mask that follows from them.

    The sample then holds ``map_type``; ``bg_thr``, the score of the
    background that was used; ``img_labels``, the n classes in the
    order of the maps; ``scale_maps``, the :class:`ActivationMaps` behind the
    mask; ``extra_maps``, those of the other map types, by type;
    ``activation``, a :obj:`PixelData` with the maps (n, H, W) of each
    map type at the size of the original image; and ``pred_sem_seg``, the
    argmax (1, H, W) of the maps of `map_type` and a background plane of
    `bg_thr`, in the numbers of the dataset: 0 is the background.

    Args:
        sample (:obj:`SegDataSample`): Sample to change in place.
        maps (dict[str, ActivationMaps]): Maps by map type.
        map_type (str): The maps that give the mask.
        bg_thr (float | str): Score of the background, in [0, 1], or
            'otsu' or 'li', see :class:`~mmlpcam.ops.AutoThreshold`, for one of
            the image by its scores, without true masks.
    """
    chosen = maps[map_type]
    size = sample.metainfo.get('ori_shape', chosen.size)[:2]
    full = {name: _resized(value.full(), size) for name, value in maps.items()}
    bg_thr = background_score(full[map_type], bg_thr)
    # PixelData does not keep the order of its fields
    sample.set_metainfo(
        dict(img_labels=chosen.labels, map_type=map_type, bg_thr=bg_thr))
    sample.set_data(
        dict(
            scale_maps=chosen,
            extra_maps={
                name: value
                for name, value in maps.items() if name != map_type
            },
            activation=PixelData(**full),
            pred_sem_seg=PixelData(
                data=_mask(full[map_type], chosen.labels, bg_thr)[None])))


def _mask(maps: Tensor, labels: Sequence[int], bg_thr: float) -> Tensor:
    """Mask (H, W), int64, of maps (n, H, W)."""
    best = maps.new_full(maps.shape[1:], bg_thr)
    mask = torch.zeros_like(best, dtype=torch.int64)
    # the first maximum wins: the background, then the lower class. There are
    # few classes, and argmax over planes is slow on the CPU
    for label, scores in sorted(zip(labels, maps), key=lambda item: item[0]):
        better = scores > best
        mask = torch.where(better, label + 1, mask)
        best = torch.where(better, scores, best)
    return mask


def without_padding(inputs: Tensor, metas: list[dict]) -> Tensor:
    """Cut off what the data preprocessor added at the right and bottom.

    Args:
        inputs (Tensor): Images (N, 3, H, W), padded alike.
        metas (list[dict]): Their metainfo, of which the first is looked at.

    Returns:
        Tensor: Images (N, 3, H', W'), a view.
    """
    meta = metas[0]
    padding = meta.get('img_padding_size', meta.get('padding_size', (0, ) * 4))
    height, width = inputs.shape[-2:]
    return inputs[..., :height - padding[3], :width - padding[1]]


def _resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize maps where the test pipeline has resized the image."""
    if tuple(maps.shape[-2:]) == tuple(size):
        return maps
    if not len(maps):
        return maps.new_zeros(0, *size)
    return F.interpolate(
        maps[None], size=tuple(size), mode='bilinear', align_corners=False)[0]


def scaled_views(images: Tensor, scales: Sequence[float],
                 flip: bool) -> Iterator[tuple[float, Tensor]]:
    """Make what a backbone sees of images.

    Args:
        images (Tensor): Images (N, 3, H, W).
        scales (Sequence[float]): Factors of their size.
        flip (bool): Whether mirror images are wanted.

    Yields:
        tuple[float, Tensor]: Each scale and the images at it; with `flip`
        2N, the mirror images behind the images.
    """
    for scale in scales:
        scaled = rescale(images, scale)
        yield scale, (torch.cat([scaled, scaled.flip(-1)]) if flip else scaled)


def rescale(images: Tensor, scale: float) -> Tensor:
    """Resize images with an antialiased bicubic filter.

    Args:
        images (Tensor): Images (N, 3, H, W).
        scale (float): Factor of their size.

    Returns:
        Tensor: Images of at least one pixel.
    """
    if scale == 1:
        return images
    size = [max(round(edge * scale), 1) for edge in images.shape[-2:]]
    # antialias=True is Pillow's bicubic filter, the official choice
    return F.interpolate(images, size=size, mode='bicubic', antialias=True)
