"""Maps of a VOC image from ready features: a product against a loop.

ResNet-50's features of an image of 375 x 500 at four scales; each class has
class and context prototypes. The baseline takes the cosine to each prototype
in a loop.
"""
import argparse

import torch
import torch.nn.functional as F
from torch import Tensor

from mmlpcam.ops import (activation_maps, covered_size, full_size_maps,
                         normalize_maps, prototype_direction, strided_maps)
from .common import Comparison, time_in_turns

SIZE = (375, 500)
SCALES = (1.0, 0.5, 1.5, 2.0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this subject can vary."""
    parser.add_argument('--classes', type=int, default=2, help='classes')
    parser.add_argument(
        '--channels', type=int, default=2048, help='feature channels')
    parser.add_argument(
        '--class-prototypes', type=int, default=8, help='per class')
    parser.add_argument(
        '--context-prototypes', type=int, default=10, help='per class')


@torch.no_grad()
def run(args: argparse.Namespace) -> list[Comparison]:
    """Measure."""

    def random(*shape: int) -> Tensor:
        return torch.rand(*shape, device=args.device)

    feats = [
        random(1, args.channels,
               *(-(-round(edge * scale) // 16) for edge in SIZE))
        for scale in SCALES
    ]
    classes = [
        random(args.class_prototypes, args.channels)
        for _ in range(args.classes)
    ]
    contexts = [
        random(args.context_prototypes, args.channels)
        for _ in range(args.classes)
    ]
    inputs = feats, classes, contexts
    worst = max(
        float((a - b).abs().max())
        for a, b in zip(by_product(*inputs), by_loop(*inputs)))
    seconds = time_in_turns(
        dict(
            loop=lambda: by_loop(*inputs),
            product=lambda: by_product(*inputs)), args.repeats, args.device)
    return [
        Comparison(
            f'maps of a {SIZE[0]} x {SIZE[1]} image, {args.classes} classes, '
            f'{args.channels} channels',
            seconds,
            notes=[f'Largest difference of the maps: {worst:.1e}.'])
    ]


def by_product(feats: list[Tensor], classes: list[Tensor],
               contexts: list[Tensor]) -> tuple[Tensor, Tensor]:
    """As the package does: one direction per class."""
    directions = torch.stack([
        prototype_direction(protos, context)
        for protos, context in zip(classes, contexts)
    ])
    return _finish(
        [activation_maps(f, directions, normalize=True) for f in feats])


def by_loop(feats: list[Tensor], classes: list[Tensor],
            contexts: list[Tensor]) -> tuple[Tensor, Tensor]:
    """As the equations of the paper say: a cosine per prototype."""

    def mean_cosine(feat: Tensor, protos: Tensor) -> Tensor:
        return torch.stack([
            F.cosine_similarity(feat, proto[None, :, None, None])
            for proto in protos
        ]).mean(0)

    return _finish([
        torch.stack(
            [(mean_cosine(feat, protos) - mean_cosine(feat, context)).relu()
             for protos, context in zip(classes, contexts)], 1)
        for feat in feats
    ])


def _finish(per_scale: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Fuse the scales, which both ways do alike."""
    full = sum(
        full_size_maps(maps, SIZE, covered_size(SIZE, 16))
        for maps in per_scale)
    strided = sum(strided_maps(maps, SIZE) for maps in per_scale)
    return normalize_maps(full), normalize_maps(strided)
