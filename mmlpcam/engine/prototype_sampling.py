"""Which images, and which of their features, prototypes are made of."""
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from mmengine.dist import all_reduce
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor
from torch.utils.data import DataLoader

from mmlpcam.models import (MapSettings, PrototypeBank, find_prototype_head,
                            multi_scale_maps)
from mmlpcam.models.map_inference import without_padding
from mmlpcam.models.prototype_bank import SIDES
from mmlpcam.ops import (feature_moments, fit_whitening, sample_map,
                         split_features, whiten)
from mmlpcam.utils.parallel import track_on_terminal

# A point is identified by (image, repeat, position); see point_keys().
_MAX_POSITIONS = 1 << 24
MAX_REPEATS = 1 << 10
"""int: How often an image may be drawn at most."""


class ImageView(NamedTuple):
    """What prototypes are made of, of one image.

    Attributes:
        index (int): Index in the dataset.
        labels (Sequence[int]): Its n foreground classes.
        feats (Tensor): Local features, (D, h, w).
        maps (Tensor): Normalised maps of its classes, (n, H, W).
    """
    index: int
    labels: Sequence[int]
    feats: Tensor
    maps: Tensor


class Points(NamedTuple):
    """Features to cluster, on the CPU.

    Attributes:
        feats (Tensor): (N, D) float32.
        keys (Tensor): (N, ) int64, see :func:`point_keys`.
        weights (Tensor): (N, ) float32, above 0.
    """
    feats: Tensor
    keys: Tensor
    weights: Tensor

    @classmethod
    def empty(cls, channels: int) -> 'Points':
        """Return no points.

        Args:
            channels (int): Channels D.

        Returns:
            Points: Of length zero.
        """
        return cls(
            torch.zeros(0, channels), torch.zeros(0, dtype=torch.int64),
            torch.zeros(0))


@torch.no_grad()
def image_views(model: EncoderDecoder, loader: DataLoader,
                settings: MapSettings) -> Iterator[ImageView]:
    """Compute features and maps of images, in one pass over the scales.

    Args:
        model (EncoderDecoder): Model with a
            :class:`~mmlpcam.models.PrototypeHead`, in evaluation mode.
        loader (DataLoader): Batches of images of equal size, with image
            labels.
        settings (MapSettings): How the maps are made.

    Yields:
        ImageView: An image.
    """
    head = find_prototype_head(model)
    kind = head.split_map_type
    for batch in track_on_terminal((loader, len(loader)),
                                   'features of photos'):
        data = model.data_preprocessor(batch)
        samples = data['data_samples']
        images = without_padding(data['inputs'],
                                 [sample.metainfo for sample in samples])
        local: list[Tensor] = []

        def keep(scale: float,
                 feats: Sequence[Tensor],
                 local: list[Tensor] = local) -> None:
            if scale == 1 and not local:
                local.append(head.local_features(feats))

        labels = [sample.img_labels for sample in samples]
        maps = multi_scale_maps(
            model, images, labels, [kind], settings, visit=keep)
        if not local:  # of none of the scales
            keep(1, head.with_labels(model.extract_feat(images), labels))
        for sample, feats, of_image in zip(samples, local[0], maps):
            yield ImageView(sample.sample_idx, sample.img_labels, feats,
                            of_image[kind].full())


def collect_points(views: Iterable[ImageView],
                   quota: list[dict[int, list[int | None]]], *, fg_thr: float,
                   soft: bool, seed: int) -> dict[tuple[int, str], Points]:
    """Gather the features of images per class and side.

    Args:
        views (Iterable[ImageView]): Images.
        quota (list[dict[int, list[int | None]]]): Of :func:`share_features`;
            images that are not in it are passed over.
        fg_thr (float): Threshold tau, see
            :func:`~mmlpcam.ops.split_features`.
        soft (bool): Whether features weigh by the map, in context by one
            minus the map; else each weighs 1.
        seed (int): Seed of the draws.

    Returns:
        dict[tuple[int, str], Points]: By class and side, 'class' or
        'context'; a class without images is missing.
    """
    found = defaultdict(list)
    for image, labels, feats, maps in views:
        flat = feats.flatten(1).t()
        for cam, label in zip(maps, labels):
            if image not in quota[label]:
                continue
            value = sample_map(cam, feats.shape[-2:])
            split = split_features(feats, cam, fg_thr)
            for side, positions, weight in zip(SIDES, split,
                                               (value, 1 - value)):
                # by image, so that the ranks do not matter
                rng = np.random.default_rng(
                    [seed, image, label, SIDES.index(side)])
                for repeat, number in enumerate(quota[label][image]):
                    chosen = subsample(positions.cpu(), number, rng)
                    there = chosen.to(flat.device)
                    found[label, side].append(
                        Points(
                            flat[there].float().cpu(),
                            point_keys(image, repeat, chosen),
                            weight[there].float().cpu()
                            if soft else torch.ones(len(chosen))))
    # popped one by one, or the features would be held twice
    return {
        key: Points(*map(torch.cat, zip(*found.pop(key))))
        for key in list(found)
    }


def draw_images(labels: Sequence[Sequence[int]], num_classes: int,
                images_per_class: int | None,
                seed: int) -> list[dict[int, int]]:
    """Choose the images whose features are clustered.

    Args:
        labels (Sequence[Sequence[int]]): Foreground classes of each image.
        num_classes (int): Number of foreground classes.
        images_per_class (int, optional): Draws per class, with replacement;
            None takes every image of the class once.
        seed (int): Seed of the draws.

    Returns:
        list[dict[int, int]]: For each class, how often each image counts.
    """
    members = [[] for _ in range(num_classes)]
    for image, present in enumerate(labels):
        for label in present:
            members[label].append(image)
    if images_per_class is None:
        return [dict.fromkeys(images, 1) for images in members]
    rng = np.random.RandomState(seed)
    repeats = []
    for images in members:
        drawn = rng.choice(images, images_per_class) if images else []
        repeats.append({
            int(i): int(n)
            for i, n in zip(*np.unique(drawn, return_counts=True))
        })
    return repeats


def share_features(repeats: list[dict[int, int]],
                   bound: int | None) -> list[dict[int, list[int | None]]]:
    """Share the features of a class out to its images.

    The shares of a class differ by one at most and add up to the bound.

    Args:
        repeats (list[dict[int, int]]): Of :func:`draw_images`.
        bound (int, optional): Most features of a class and side; None is no
            bound.

    Returns:
        list[dict[int, list[int | None]]]: For each class, how many features
        each image may give each time that it was drawn.
    """
    quota = []
    for images in repeats:
        total, before = sum(images.values()), 0
        shares = {}
        for image, number in images.items():
            shares[image] = [
                None if bound is None else bound * (i + 1) // total -
                bound * i // total for i in range(before, before + number)
            ]
            before += number
        quota.append(shares)
    return quota


def subsample(positions: Tensor, quota: int | None,
              rng: np.random.Generator) -> Tensor:
    """Draw positions without replacement.

    Args:
        positions (Tensor): Positions (N, ), int64, on the CPU.
        quota (int, optional): Number to draw; None takes all.
        rng (np.random.Generator): Draws.

    Returns:
        Tensor: Positions in their order, at most `quota`.
    """
    if quota is None or len(positions) <= quota:
        return positions
    chosen = rng.choice(len(positions), quota, replace=False)
    return positions[torch.from_numpy(np.sort(chosen))]


def point_keys(image: int, repeat: int, positions: Tensor) -> Tensor:
    """Number the points of all images, whatever the ranks and their order.

    Args:
        image (int): Index of the image.
        repeat (int): How often it was drawn before.
        positions (Tensor): Positions in it, (N, ) int64.

    Returns:
        Tensor: Unique keys, (N, ) int64.
    """
    return (image * MAX_REPEATS + repeat) * _MAX_POSITIONS + positions


def whiten_points(bank: PrototypeBank, points: dict[tuple[int, str],
                                                    Points]) -> None:
    """Fit the whitening of a bank to the points of all ranks; whiten them.

    Args:
        bank (PrototypeBank): A bank for whitened features.
        points (dict[tuple[int, str], Points]): Those of this rank, changed in
            place.
    """
    channels = bank.whitening_mean.shape[0]
    moments = torch.zeros(channels + 1, channels + 1, dtype=torch.float64)
    for each in points.values():
        moments += feature_moments(each.feats)
    all_reduce(moments)
    if not moments.any():
        return  # the table of the bank tells that there are no features
    mean, matrix = fit_whitening(moments, len(bank.whitening_matrix))
    bank.whitening_mean.copy_(mean)
    bank.whitening_matrix.copy_(matrix)
    for key, each in points.items():
        points[key] = each._replace(feats=whiten(each.feats, mean, matrix))
