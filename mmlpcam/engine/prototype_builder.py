"""From images and a classifier to a prototype bank."""
import logging
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from mmengine.dist import (all_reduce, broadcast, get_world_size,
                           is_main_process)
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import DATASETS
from prettytable import PrettyTable
from torch import Tensor
from torch.utils.data import Subset

from mmlpcam.datasets import SegDatasetWrapper, with_image_ids
from mmlpcam.models import (MapHead, MapSettings, PrototypeBank, PrototypeHead,
                            find_prototype_head, multi_scale_maps)
from mmlpcam.models.map_inference import without_padding
from mmlpcam.ops import (feature_moments, fit_whitening, kmeans,
                         kmeans_sklearn, select_class_prototypes,
                         select_context_prototypes, split_features, whiten)
from mmlpcam.utils.parallel import track_on_terminal
from .prototype_sampling import (MAX_REPEATS, draw_images, point_keys,
                                 share_features, subsample)

_SIDES = ('class', 'context')


class _Points(NamedTuple):
    feats: Tensor  # (N, D) float32, on the CPU
    keys: Tensor  # (N, ) int64


class PrototypeBuilder:
    r"""Cluster local features per class and fill the prototype bank.

    The steps of LPCAM Sec. 3.2 (https://arxiv.org/abs/2303.10334): split the
    features of each image by the CAM of each of its classes, cluster both
    sides per class over all images, and select centres with the classifier.
    All ranks take part; each keeps the features of its share of the images.

    Memory: at most ``2 x C x max_features_per_class x D x 4`` bytes over all
    ranks, kept on the CPU; one class at a time goes to the device.

    Args:
        dataset (dict): Config of an :class:`ImageLabelDataset`, or of
            several in MMEngine's wrappers, whose pipeline only loads the
            image (features come from images at native size, without
            augmentation).
        fg_thr (float): CAM value tau that splits foreground from context:
            0.1 for PASCAL VOC, 0.25 for MS COCO. Defaults to 0.1.
        mu_f (float): Foreground centres with a class score above it become
            class prototypes. Defaults to 0.9.
        mu_b (float): Context centres with a score below it become context
            prototypes: 0.9 for PASCAL VOC, 0.5 for MS COCO. Defaults to 0.9.
        mu_b_low (float): Context centres must score above it: 0.05 in the
            official VOC code, 0 in the paper. Defaults to 0.
        scales (Sequence[float], optional): Scales of the maps that tell
            foreground from context. Defaults to None: those of the head.
        flip (bool, optional): Whether these fuse mirror images. Defaults to
            None: as the head has it.
        stride (int, optional): Stride of the features, to be checked.
            Defaults to None: that of the head.
        images_per_class (int, optional): Draw as many images per class, with
            replacement, as the official COCO code does; an image drawn twice
            counts twice. Defaults to None: all images.
        max_features_per_class (int, optional): Bound on the features per
            class and side, shared evenly by its images. Defaults to 20000;
            None sets no bound, as in the official code.
        backend (str): 'torch' or 'sklearn' (one process only). Defaults to
            'torch'.
        init (str): 'random' as in the official code, or 'k-means++'.
            Defaults to 'random'.
        tol (float): Stop rule of :func:`mmlpcam.ops.kmeans`. Defaults to 5.
        max_iters (int): Cap on the rounds. Defaults to 300.
        seed (int): Seed of all draws. Defaults to 0.
        num_workers (int): Loader processes. Defaults to 2.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(self,
                 dataset: dict,
                 *,
                 fg_thr: float = 0.1,
                 mu_f: float = 0.9,
                 mu_b: float = 0.9,
                 mu_b_low: float = 0.,
                 scales: Sequence[float] | None = None,
                 flip: bool | None = None,
                 stride: int | None = None,
                 images_per_class: int | None = None,
                 max_features_per_class: int | None = 20000,
                 backend: str = 'torch',
                 init: str = 'random',
                 tol: float = 5.,
                 max_iters: int = 300,
                 seed: int = 0,
                 num_workers: int = 2) -> None:
        for name, value in (('fg_thr', fg_thr), ('mu_f', mu_f), ('mu_b', mu_b),
                            ('mu_b_low', mu_b_low)):
            if not 0 <= value <= 1:
                raise ValueError(f'`{name}` must lie in [0, 1], but is '
                                 f'{value}')
        if mu_b_low >= mu_b:
            raise ValueError(f'`mu_b_low` {mu_b_low} must be below `mu_b` '
                             f'{mu_b}, or no context can pass')
        if backend not in ('torch', 'sklearn'):
            raise ValueError("`backend` must be 'torch' or 'sklearn', but is "
                             f'{backend!r}')
        if init not in ('random', 'k-means++'):
            raise ValueError("`init` must be 'random' or 'k-means++', but is "
                             f'{init!r}')
        at_least_one = dict(
            max_iters=max_iters,
            images_per_class=images_per_class,
            max_features_per_class=max_features_per_class)
        for name, value in at_least_one.items():
            if value is not None and value < 1:
                raise ValueError(f'`{name}` must be at least 1, but is '
                                 f'{value}')
        if images_per_class is not None and images_per_class > MAX_REPEATS:
            raise ValueError(f'`images_per_class` must be at most '
                             f'{MAX_REPEATS}, but is {images_per_class}')
        self.dataset = dataset
        self._dataset: SegDatasetWrapper | None = None
        self.fg_thr = fg_thr
        self.mu_f = mu_f
        self.mu_b = mu_b
        self.mu_b_low = mu_b_low
        self.map_changes = dict(scales=scales, flip=flip, stride=stride)
        MapSettings().changed(**self.map_changes)  # fails early
        self.images_per_class = images_per_class
        self.max_features_per_class = max_features_per_class
        self.backend = backend
        self.init = init
        self.tol = tol
        self.max_iters = max_iters
        self.seed = seed
        self.num_workers = num_workers

    def prepare(self) -> SegDatasetWrapper:
        """Build the dataset, and meet bad input before it costs time.

        Returns:
            SegDatasetWrapper: The dataset, built at the first call.

        Raises:
            TypeError: If the dataset is of a kind that is not known.
            ValueError: If several processes are to use scikit-learn, two
                images share an id, or images have no labels.
        """
        if self.backend == 'sklearn' and get_world_size() > 1:
            raise ValueError("backend='sklearn' runs in one process only: use "
                             "backend='torch' under a launcher")
        if self._dataset is None:
            # one index for all that a concatenation joins
            dataset = with_image_ids(DATASETS.build(self.dataset))
            if 'img_labels' not in dataset.get_data_info(0):
                raise ValueError(
                    'prototypes need image labels: put ImageLabelDataset '
                    'around the dataset of PrototypeBankHook, or around each '
                    'of those that it joins')
            self._dataset = dataset
        return self._dataset

    def map_settings(self, head: MapHead) -> MapSettings:
        """Return how maps are made.

        Args:
            head (MapHead): The head that makes them.

        Returns:
            MapSettings: Its settings, with those of the builder that are
            given in their place.
        """
        return head.settings.changed(**self.map_changes)

    @torch.no_grad()
    def build(self, model: EncoderDecoder, momentum: float = 1.) -> None:
        """Fill the bank of the head of a model that makes maps.

        The training mode of the model is restored afterwards. The buffers of
        all ranks become those of the first.

        Args:
            model (EncoderDecoder): Model with a
                :class:`~mmlpcam.models.PrototypeHead` as decode head or as an
                auxiliary head; not wrapped for distribution.
            momentum (float): See :meth:`PrototypeBank.set_class`. Defaults
                to 1.

        Raises:
            ValueError: If `momentum` is below 1 and features are whitened.
        """
        if momentum < 1 and find_prototype_head(model).bank.is_whitened:
            raise ValueError(
                'whitened features of two banks have different axes, and '
                'their prototypes no average: set momentum=1, or '
                'whitening=None in the head')
        # With plain batch norm each rank has statistics of its own, and the
        # checkpoint will have those of the first.
        for buffer in model.buffers():
            broadcast(buffer)
        was_training = model.training
        model.eval()
        try:
            head = find_prototype_head(model)
            dataset = self.prepare()
            points = self._collect(model, head, dataset)
            # features may come in half precision, centres must not
            with torch.autocast(_device(head).type, enabled=False):
                if head.bank.is_whitened:
                    _whiten(head.bank, points)
                self._fill(head, points, dataset.metainfo['classes'][1:],
                           momentum)
        finally:
            model.train(was_training)

    def _collect(self, model: EncoderDecoder, head: PrototypeHead,
                 dataset: SegDatasetWrapper) -> dict[tuple[int, str], _Points]:
        """Features of this rank per class and side."""
        labels = [
            dataset.get_data_info(i)['img_labels']
            for i in range(len(dataset))
        ]
        repeats = draw_images(labels, head.num_classes - 1,
                              self.images_per_class, self.seed)
        quota = share_features(repeats, self.max_features_per_class)
        used = sorted({image for images in repeats for image in images})
        if not used:
            raise ValueError(
                'none of the images for the prototypes has a label: check '
                'the label source of PrototypeBankHook.dataset')
        loader = Runner.build_dataloader(
            dict(
                batch_size=1,
                num_workers=self.num_workers,
                sampler=dict(
                    type='DefaultSampler', shuffle=False, round_up=False),
                dataset=Subset(dataset, used)))
        kind, settings = head.split_map_type, self.map_settings(head)
        feats, keys = defaultdict(list), defaultdict(list)
        batches = track_on_terminal(
            (loader, len(loader))) if is_main_process() else loader
        for batch in batches:
            data = model.data_preprocessor(batch)
            sample = data['data_samples'][0]
            image, present = sample.sample_idx, sample.img_labels
            inputs = without_padding(data['inputs'], [sample.metainfo])
            local = head.local_features(model.extract_feat(inputs))[0]
            maps = multi_scale_maps(model, inputs, [present], [kind],
                                    settings)[0][kind]
            flat = local.flatten(1).t()
            for cam, label in zip(maps.full(), present):
                if image not in repeats[label]:
                    continue
                split = split_features(local, cam, self.fg_thr)
                for side, positions in zip(_SIDES, split):
                    # by image, so that the ranks do not matter
                    rng = np.random.default_rng(
                        [self.seed, image, label,
                         _SIDES.index(side)])
                    for repeat in range(repeats[label][image]):
                        chosen = subsample(positions.cpu(),
                                           quota[label][image][repeat], rng)
                        feats[label, side].append(flat[chosen.to(
                            flat.device)].float().cpu())
                        keys[label,
                             side].append(point_keys(image, repeat, chosen))
        # popped one by one, or the features would be held twice
        return {
            key: _Points(torch.cat(feats.pop(key)), torch.cat(keys.pop(key)))
            for key in list(feats)
        }

    def _fill(self, head: PrototypeHead, points: dict[tuple[int, str],
                                                      _Points],
              classes: Sequence[str], momentum: float) -> None:
        table = PrettyTable([
            'class', 'features', 'centres', 'prototypes', 'context features',
            'context centres', 'context prototypes'
        ])
        without = dict(prototypes=[], context=[])

        def scores(centers: Tensor) -> Tensor:
            return head.class_scores(head.bank.raw(centers))

        for label, name in enumerate(classes):
            centers, number = self._cluster(head,
                                            points.pop((label, 'class'), None))
            kept = centers[select_class_prototypes(
                scores(centers)[:, label], self.mu_f)]
            others, num_others = self._cluster(
                head, points.pop((label, 'context'), None))
            context = others[select_context_prototypes(
                scores(others)[:, label], self.mu_b, self.mu_b_low)]
            head.bank.set_class(label, kept, context, momentum)
            table.add_row([
                name, number,
                len(centers),
                len(kept), num_others,
                len(others),
                len(context)
            ])
            if not len(kept):
                without['prototypes'].append(name)
            elif not len(context):
                without['context'].append(name)
        print_log(f'prototype bank:\n{table}', logger='current')
        if without['prototypes']:
            print_log(
                f'{", ".join(without["prototypes"])}: no foreground feature, '
                'so these maps will be empty; either no image has the label, '
                f'or its CAM never exceeds fg_thr {self.fg_thr}',
                logger='current',
                level=logging.WARNING)
        if without['context']:
            print_log(
                f'{", ".join(without["context"])}: no context prototype, so '
                'nothing is subtracted from these maps, which then cover much '
                'of the image; context needs a score between mu_b_low '
                f'{self.mu_b_low} and mu_b {self.mu_b}',
                logger='current',
                level=logging.WARNING)

    def _cluster(self, head: PrototypeHead,
                 points: _Points | None) -> tuple[Tensor, int]:
        """Centres (K, D) and the number of points of all ranks."""
        device = _device(head)
        if points is None:
            points = _Points(
                torch.zeros(0, head.bank.class_prototypes.shape[2]),
                torch.zeros(0, dtype=torch.int64))
        feats = points.feats.to(device)
        total = torch.tensor([len(feats)], device=device)
        all_reduce(total)
        num_clusters = head.bank.class_valid.shape[1]
        if self.backend == 'sklearn':
            result = kmeans_sklearn(
                feats,
                num_clusters,
                init=self.init,
                max_iters=self.max_iters,
                seed=self.seed)
        else:
            result = kmeans(
                feats,
                num_clusters,
                init=self.init,
                tol=self.tol,
                max_iters=self.max_iters,
                seed=self.seed,
                keys=points.keys.to(device))
        return result.centers, int(total)


def _whiten(bank: PrototypeBank, points: dict[tuple[int, str],
                                              _Points]) -> None:
    """Fit the whitening to the points of all ranks, and whiten them."""
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


def _device(head: PrototypeHead) -> torch.device:
    return head.bank.class_direction.device
