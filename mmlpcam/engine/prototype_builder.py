"""From images and a classifier to a prototype bank."""
from collections.abc import Iterable, Sequence

import torch
from mmengine.dist import broadcast, get_world_size
from mmengine.runner import Runner
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import DATASETS
from torch.utils.data import DataLoader, Subset

from mmlpcam.datasets import SegDatasetWrapper, with_image_ids
from mmlpcam.models import (MapHead, MapSettings, PrototypeHead,
                            fast_inference, find_prototype_head)
from mmlpcam.models.prototype_bank import SIDES
from mmlpcam.ops import (KMeansResult, select_class_prototypes,
                         select_context_prototypes)
from mmlpcam.utils.parallel import track_on_terminal
from .bank_report import ClassCounts, Clusters, ClusterTable, log_bank, totals
from .class_clusters import cluster_classes
from .prototype_sampling import (MAX_REPEATS, ImageView, Points,
                                 collect_points, draw_images, image_views,
                                 share_features, whiten_points)


class PrototypeBuilder:
    r"""Cluster local features per class and fill the prototype bank.

    The steps of LPCAM Sec. 3.2 (https://arxiv.org/abs/2303.10334): split the
    features of each image by the CAM of each of its classes, cluster both
    sides per class over all images, and select centres with the classifier.
    All ranks take part; each keeps the features of its share of the images.

    Memory: at most ``2 x C x max_features_per_class x D x 4`` bytes over all
    ranks, kept on the CPU. As many classes as have 100 000 features together,
    or one, go to the device at a time.

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
        soft (bool): Whether a feature counts in its centre by the CAM, in
            context by one minus the CAM, as in PSDPM. Defaults to False: all
            count the same, as in LPCAM.
        num_clusters (int | Sequence[int], optional): K, up to that of the
            head. Of several, the directions are averaged. Defaults to None:
            that of the head.
        num_seeds (int): Number of clusterings for each K, from seeds that
            follow `seed`; their directions are averaged. Defaults to 1.
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
        batch_size (int): Most photos, of equal size, whose features are made
            together. Defaults to 1.

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
                 soft: bool = False,
                 num_clusters: int | Sequence[int] | None = None,
                 num_seeds: int = 1,
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
                 num_workers: int = 2,
                 batch_size: int = 1) -> None:
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
        if isinstance(num_clusters, int):
            num_clusters = [num_clusters]
        fewest = None if num_clusters is None else min(num_clusters, default=0)
        at_least = dict(
            num_clusters=(fewest, 1),
            max_iters=(max_iters, 1),
            batch_size=(batch_size, 1),
            num_seeds=(num_seeds, 1),
            images_per_class=(images_per_class, 1),
            max_features_per_class=(max_features_per_class, 1),
            seed=(seed, 0),
            num_workers=(num_workers, 0))
        for name, (value, least) in at_least.items():
            if value is not None and value < least:
                raise ValueError(f'`{name}` must be at least {least}, but is '
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
        self.soft = soft
        self.num_clusters = num_clusters
        self.num_seeds = num_seeds
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
        self.batch_size = batch_size

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

    def clusterings(self, head: PrototypeHead) -> list[tuple[int, int]]:
        """Return the clusterings whose directions are averaged.

        Args:
            head (PrototypeHead): The head with the bank.

        Returns:
            list[tuple[int, int]]: K and seed of each.

        Raises:
            ValueError: If the bank has no room for so many clusters.
        """
        room = head.bank.class_valid.shape[1]
        numbers = self.num_clusters or [room]
        if max(numbers) > room:
            raise ValueError(
                f'`num_clusters` {max(numbers)} of the prototypes is above '
                f'that of the {type(head).__name__}, {room}: raise it there')
        return [(number, self.seed + i) for number in numbers
                for i in range(self.num_seeds)]

    @torch.no_grad()
    def build(self,
              model: EncoderDecoder,
              momentum: float = 1.) -> ClusterTable:
        """Fill the bank of the head of a model that makes maps.

        The training mode of the model is restored afterwards. The buffers of
        all ranks become those of the first.

        Args:
            model (EncoderDecoder): Model with a
                :class:`~mmlpcam.models.PrototypeHead` as decode head or as an
                auxiliary head; not wrapped for distribution.
            momentum (float): See :meth:`PrototypeBank.set_class`. Defaults
                to 1.

        Returns:
            ClusterTable: See :meth:`fill`.

        Raises:
            ValueError: If `momentum` is below 1 and features are whitened.
        """
        # With plain batch norm each rank has statistics of its own, and the
        # checkpoint will have those of the first.
        for buffer in model.buffers():
            broadcast(buffer)
        was_training = model.training
        model.eval()
        try:
            head = find_prototype_head(model)
            # fail early
            head.bank.check_momentum(momentum)
            self.clusterings(head)
            dataset = self.prepare()
            labels = [
                dataset.get_data_info(i)['img_labels']
                for i in range(len(dataset))
            ]
            repeats = self.draw(head, labels)
            used = sorted({image for images in repeats for image in images})
            with fast_inference(model):
                views = image_views(model, self.loader(dataset, used),
                                    self.map_settings(head))
                points = self.collect(views, repeats)
            # features may come in half precision, centres must not
            device = head.bank.class_direction.device
            with torch.autocast(device.type, enabled=False):
                if head.bank.is_whitened:
                    whiten_points(head.bank, points)
                return self.fill(head, points, dataset.metainfo['classes'][1:],
                                 momentum)
        finally:
            model.train(was_training)

    def draw(self, head: PrototypeHead,
             labels: Sequence[Sequence[int]]) -> list[dict[int, int]]:
        """Choose images.

        Args:
            head (PrototypeHead): The head with the bank.
            labels (Sequence[Sequence[int]]): Foreground classes per image.

        Returns:
            list[dict[int, int]]: See :func:`draw_images`.

        Raises:
            ValueError: If no image has a label.
        """
        repeats = draw_images(labels, head.num_classes - 1,
                              self.images_per_class, self.seed)
        if not any(repeats):
            raise ValueError(
                'none of the images for the prototypes has a label: check '
                'the label source of PrototypeBankHook.dataset')
        return repeats

    def collect(
            self, views: Iterable[ImageView],
            repeats: list[dict[int, int]]) -> dict[tuple[int, str], Points]:
        """Gather the features of this rank per class and side.

        Args:
            views (Iterable[ImageView]): The images of :meth:`draw`, each on
                one rank.
            repeats (list[dict[int, int]]): Of :meth:`draw`.

        Returns:
            dict[tuple[int, str], Points]: See :func:`collect_points`.
        """
        return collect_points(
            views,
            share_features(repeats, self.max_features_per_class),
            fg_thr=self.fg_thr,
            soft=self.soft,
            seed=self.seed)

    def loader(self, dataset: SegDatasetWrapper,
               used: Sequence[int]) -> DataLoader:
        """Build the loader of the share of this rank.

        Args:
            dataset (SegDatasetWrapper): Of :meth:`prepare`.
            used (Sequence[int]): Indices of the images of all ranks.

        Returns:
            DataLoader: Its batches hold images of equal size.
        """
        return Runner.build_dataloader(
            dict(
                batch_size=self.batch_size,
                batch_sampler=dict(type='SameSizeBatchSampler'),
                num_workers=self.num_workers,
                sampler=dict(
                    type='DefaultSampler', shuffle=False, round_up=False),
                dataset=Subset(dataset, used)))

    def fill(self,
             head: PrototypeHead,
             points: dict[tuple[int, str], Points],
             classes: Sequence[str],
             momentum: float = 1.) -> ClusterTable:
        """Cluster, select, and fill the bank.

        Args:
            head (PrototypeHead): The head with the bank.
            points (dict[tuple[int, str], Points]): Of :meth:`collect`; it is
                emptied, class by class.
            classes (Sequence[str]): Names of the foreground classes.
            momentum (float): See :meth:`PrototypeBank.set_class`. Defaults
                to 1.

        Returns:
            ClusterTable: For each class and side, the rows of the clustering
            whose prototypes the bank keeps, see :meth:`Clusters.rows`.
        """
        counts, table = [], []
        clusters = cluster_classes(
            points,
            len(classes),
            self.clusterings(head),
            Points.empty(head.bank.class_prototypes.shape[2]),
            head.bank.class_direction.device,
            backend=self.backend,
            soft=self.soft,
            init=self.init,
            tol=self.tol,
            max_iters=self.max_iters)
        for label, sides in enumerate(
                track_on_terminal((clusters, len(classes)),
                                  'clustering of classes')):
            found, context = ([
                self._select(head, result, label, side)
                for result in each.results
            ] for side, each in zip(SIDES, sides))
            runs = [(fg.prototypes, bg.prototypes)
                    for fg, bg in zip(found, context)]
            head.bank.set_class(label, *runs[0], momentum, others=runs[1:])
            table.append({
                side:
                next((each for each in clusterings if each.kept.any()),
                     clusterings[0]).rows()
                for side, clusterings in zip(SIDES, (found, context))
            })
            counts.append(
                ClassCounts(classes[label], sides[0].num_points,
                            *totals(found), sides[1].num_points,
                            *totals(context)))
        log_bank(counts, self.mu_b_low, self.mu_b)
        return table

    def _select(self, head: PrototypeHead, result: KMeansResult, label: int,
                side: str) -> Clusters:
        """Tell which centres of a class and side are prototypes."""
        scores = head.class_scores(head.bank.raw(result.centers))[:, label]
        if side == 'class':
            kept = select_class_prototypes(scores, self.mu_f)
        else:
            kept = select_context_prototypes(scores, self.mu_b, self.mu_b_low)
        return Clusters(result.centers, result.counts, scores, kept)
