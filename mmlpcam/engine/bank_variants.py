"""Ways to fill and to read a prototype bank, on features that are given."""
import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from mmengine.logging import print_log
from mmseg.registry import HOOKS
from torch import Tensor

from mmlpcam.models import CAMHead, PrototypeBank
from mmlpcam.ops import (feature_moments, fit_whitening, nearest_similarity,
                         prototype_direction, select_class_prototypes,
                         select_context_prototypes, unwhiten, whiten)
from mmlpcam.structures import ActivationMaps, find_map_type
from .feature_cache import FeatureCache
from .prototype_builder import PrototypeBuilder
from .prototype_sampling import ImageView

# Features that a whitening is fitted to, of all photos together.
_MAX_FIT = 20000
# FPR: photos that give the context of false positives, and their CAM.
_FALSE_POSITIVES = 10
_FALSE_POSITIVE_CAM = 0.1

Transform = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class BankVariant:
    """One way to fill a bank and to read it.

    Attributes:
        map_type (str): 'lpcam', 'lpcam_f', or 'cam' for the maps without a
            bank. Defaults to 'lpcam'.
        image_weight (float): See :class:`~mmlpcam.models.PrototypeHead`.
            Defaults to 0.
        spread (float, optional): The same. Defaults to None.
        center (bool): Whether the mean feature is subtracted first. Defaults
            to False.
        whiten (int, optional): Dimensions that features are whitened to
            first, see :func:`~mmlpcam.ops.fit_whitening`. Defaults to None:
            not at all.
        nearest (int, optional): Compare with so many of the nearest stored
            features instead of with all centres. Defaults to None: centres.
        false_positives (bool): Whether context comes from photos without the
            class that look most like it. Defaults to False.
        hook (dict): Changed arguments of :class:`PrototypeBankHook`.

    Raises:
        ValueError: If a value is out of range, or settings exclude each
            other.
    """
    map_type: str = 'lpcam'
    image_weight: float = 0.
    spread: float | None = None
    center: bool = False
    whiten: int | None = None
    nearest: int | None = None
    false_positives: bool = False
    hook: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        types = ('cam', 'lpcam_f', 'lpcam')
        if self.map_type not in types:
            raise ValueError(f'expected `map_type` of {types}, but got '
                             f'{self.map_type!r}')
        if not 0 <= self.image_weight < 1:
            raise ValueError('`image_weight` must lie in [0, 1), but is '
                             f'{self.image_weight}')
        if self.spread is not None and not self.spread > 0:
            raise ValueError(f'`spread` must be above 0, but is {self.spread}')
        for name in ('whiten', 'nearest'):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f'`{name}` must be at least 1, but is '
                                 f'{value}')
        if self.nearest and (self.image_weight or self.spread
                             or self.false_positives):
            raise ValueError('`nearest` has no directions: leave out '
                             '`image_weight`, `spread` and `false_positives`')

    @classmethod
    def parse(cls, settings: dict) -> 'BankVariant':
        """Tell the settings of a variant from those of the hook.

        Args:
            settings (dict): Attributes of this class and arguments of
                :class:`PrototypeBankHook`, side by side.

        Returns:
            BankVariant: The variant.
        """
        own = set(cls.__dataclass_fields__) - {'hook'}
        return cls(
            **{name: settings[name]
               for name in own & set(settings)},
            hook={
                name: value
                for name, value in settings.items() if name not in own
            })

    def builder(self, hook: dict) -> PrototypeBuilder:
        """Return what fills the bank.

        Args:
            hook (dict): Config of the :class:`PrototypeBankHook` that the
                variant changes.

        Returns:
            PrototypeBuilder: With the changes.

        Raises:
            TypeError: If an argument is unknown.
            ValueError: If an argument is out of range.
        """
        return HOOKS.build(dict(hook, **self.hook)).builder


@torch.no_grad()
def variant_maps(
        head: CAMHead, photos: FeatureCache, variant: BankVariant, hook: dict,
        classes: Sequence[str]) -> Iterator[tuple[ActivationMaps, Tensor]]:
    """Fill a bank and yield the maps that it gives.

    Args:
        head (CAMHead): Trained head; it is not changed.
        photos (FeatureCache): Photos that fill the bank and are mapped.
        variant (BankVariant): How.
        hook (dict): Config of the :class:`PrototypeBankHook` that the variant
            changes.
        classes (Sequence[str]): Names of the foreground classes.

    Yields:
        tuple[ActivationMaps, Tensor]: Maps of each photo and its true mask.

    Raises:
        TypeError: If the head is no CAMHead, or an argument is unknown.
        ValueError: If an argument is out of range.
    """
    if variant.map_type == head.split_map_type:
        for photo in photos:
            yield photo.maps, photo.truth
        return
    builder = variant.builder(hook)
    transform, restore = _feature_space(photos, variant)
    reader = _reader(head, builder, transform, restore, variant)
    views = (
        ImageView(photo.index, photo.maps.labels, transform(photo.feats),
                  photo.maps.full()) for photo in photos)
    points = builder.collect(views, builder.draw(reader, photos.labels))
    stored = {}
    if variant.nearest:
        stored = {
            key: _stored(reader, builder, value.feats, *key)
            for key, value in points.items()
        }
    else:
        builder.fill(reader, points, classes)
    if variant.false_positives:
        _false_positive_context(head, photos, transform, reader.bank)
    kind = find_map_type(variant.map_type)
    for photo in photos:
        labels = photo.maps.labels
        scales = []
        for view in map(transform, photo.views):
            if not labels:
                maps = view.new_zeros(0, *view.shape[1:])
            elif variant.nearest:
                maps = torch.stack([
                    _nearest_map(view, stored, label, variant)
                    for label in labels
                ])
            else:
                maps = reader.maps([view[None]], kind.name, labels,
                                   flip=False)[0]
            scales.append(maps)
        yield ActivationMaps.of_kind(kind, labels, scales, photo.maps.size,
                                     photo.maps.extent), photo.truth


def _feature_space(photos: FeatureCache,
                   variant: BankVariant) -> tuple[Transform, Transform]:
    """From features (D, h, w) to those that are compared, and rows back."""
    if not variant.center and variant.whiten is None:
        return lambda feats: feats, lambda rows: rows
    flat = (photo.feats.flatten(1).t() for photo in photos)
    share = max(_MAX_FIT // len(photos), 1)
    rows = torch.cat([each[::-(-len(each) // share)] for each in flat])
    mean = rows.mean(0)
    if variant.whiten is None:
        return (lambda feats: feats - mean[:, None, None],
                lambda rows: rows + mean)
    mean, matrix = fit_whitening(feature_moments(rows), variant.whiten)
    return (lambda feats: whiten(feats[None], mean, matrix)[0],
            lambda rows: unwhiten(rows, mean, matrix))


def _reader(head: CAMHead, builder: PrototypeBuilder, transform: Transform,
            restore: Transform, variant: BankVariant) -> CAMHead:
    """Return a head with an empty bank for transformed features."""
    if not isinstance(head, CAMHead):
        raise TypeError('banks are compared for a CAMHead, but the model has '
                        f'a {type(head).__name__}')
    channels = len(transform(torch.zeros(head.in_channels, 1, 1)))
    room = max(builder.num_clusters or [head.bank.class_valid.shape[1]])
    reader = copy.deepcopy(head)
    reader.in_channels = channels
    reader.image_weight = variant.image_weight
    reader.spread = variant.spread
    reader.bank = PrototypeBank(head.num_classes - 1, room, channels)
    # the classifier knows the features as they were
    reader.class_scores = lambda rows: head.class_scores(restore(rows))
    return reader


def _stored(reader: CAMHead, builder: PrototypeBuilder, feats: Tensor,
            label: int, side: str) -> Tensor:
    """Select features as centres are selected."""
    scores = reader.class_scores(feats)[:, label]
    if side == 'class':
        return feats[select_class_prototypes(scores, builder.mu_f)]
    return feats[select_context_prototypes(scores, builder.mu_b,
                                           builder.mu_b_low)]


def _nearest_map(view: Tensor, stored: dict[tuple[int, str], Tensor],
                 label: int, variant: BankVariant) -> Tensor:
    none = view.new_zeros(0, len(view))
    found = nearest_similarity(view, stored.get((label, 'class'), none),
                               variant.nearest)
    if variant.map_type == 'lpcam':
        found = found - nearest_similarity(
            view, stored.get((label, 'context'), none), variant.nearest)
    return found.relu()


def _false_positive_context(head: CAMHead, photos: FeatureCache,
                            transform: Transform, bank: PrototypeBank) -> None:
    """Take context from photos without the class, where its CAM is high."""
    logits = torch.cat([head.classify([p.feats[None]]) for p in photos])
    for index, labels in enumerate(photos.labels):
        logits[index, list(labels)] = -torch.inf
    best, where = logits.topk(min(_FALSE_POSITIVES, len(photos)), dim=0)
    rows: list[list[Tensor]] = [[] for _ in range(logits.shape[1])]
    for photo in photos:
        for rank, label in torch.nonzero(where == photo.index).tolist():
            if best[rank, label].isinf():
                continue
            cam = head.maps([photo.feats[None]],
                            head.split_map_type, [label],
                            flip=False)[0, 0]
            high = cam > _FALSE_POSITIVE_CAM * cam.max()
            if high.any():
                rows[label].append(transform(photo.feats)[:, high].mean(1))
    for label, found in enumerate(rows):
        if not found:
            print_log(f'class {label}: no photo without it looks like it',
                      'current')
            continue
        context = torch.stack(found)
        bank.context_direction[label] = prototype_direction(
            context, context[:0])
