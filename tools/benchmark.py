"""Time maps as one product against a loop over prototypes.

The setting is one PASCAL VOC image (375 x 500) with ready features of a
ResNet-50 at four scales: 2 classes with 8 class and 10 context prototypes
each. Both ways give the strided and the full-size maps; the difference
between them is printed and must be rounding.
"""
import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from prettytable import PrettyTable
from torch import Tensor

from mmlpcam.ops import (activation_maps, full_size_maps, max_normalize,
                         prototype_direction, strided_maps)

SIZE = (375, 500)
SCALES = (1.0, 0.5, 1.5, 2.0)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('--repeats', type=int, default=5, help='timed runs')
    parser.add_argument(
        '--channels', type=int, default=2048, help='feature channels')
    parser.add_argument('--classes', type=int, default=2, help='classes')
    parser.add_argument(
        '--class-prototypes', type=int, default=8, help='per class')
    parser.add_argument(
        '--context-prototypes', type=int, default=10, help='per class')
    parser.add_argument('--device', default='cpu', help='torch device')
    return parser.parse_args()


def finish(per_scale: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Fuse the scales, which both ways do alike."""
    full = sum(full_size_maps(maps, SIZE) for maps in per_scale)
    strided = sum(strided_maps(maps, SIZE) for maps in per_scale)
    return max_normalize(full), max_normalize(strided)


def by_product(feats: list[Tensor], classes: list[Tensor],
               contexts: list[Tensor]) -> tuple[Tensor, Tensor]:
    directions = torch.stack([
        prototype_direction(protos, context)
        for protos, context in zip(classes, contexts)
    ])
    return finish(
        [activation_maps(f, directions, normalize=True) for f in feats])


def by_loop(feats: list[Tensor], classes: list[Tensor],
            contexts: list[Tensor]) -> tuple[Tensor, Tensor]:

    def mean_cosine(feat: Tensor, protos: Tensor) -> Tensor:
        return torch.stack([
            F.cosine_similarity(feat, proto[None, :, None, None])
            for proto in protos
        ]).mean(0)

    return finish([
        torch.stack(
            [(mean_cosine(feat, protos) - mean_cosine(feat, context)).relu()
             for protos, context in zip(classes, contexts)], 1)
        for feat in feats
    ])


def time_once(function: Callable, *args, device: str) -> float:
    start = time.perf_counter()
    function(*args)
    if torch.device(device).type == 'cuda':
        torch.cuda.synchronize()
    return time.perf_counter() - start


@torch.no_grad()
def main() -> None:
    args = parse_args()
    torch.manual_seed(0)

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

    times = {by_product: [], by_loop: []}
    for _ in range(args.repeats):  # in turns, so that drift hits both
        for function, values in times.items():
            values.append(time_once(function, *inputs, device=args.device))
    table = PrettyTable(['way', 'median ms', 'min ms', 'max ms'])
    for function, values in times.items():
        table.add_row([function.__name__] + [
            f'{1000 * value:.1f}'
            for value in (statistics.median(values), min(values), max(values))
        ])
    ratios = [b / a for a, b in zip(times[by_product], times[by_loop])]
    print(f'{args.device}, {torch.get_num_threads()} threads, '
          f'torch {torch.__version__}')
    print(table)
    print(f'ratio loop / product: median {statistics.median(ratios):.0f} '
          f'({min(ratios):.0f} to {max(ratios):.0f}); largest difference of '
          f'the maps {worst:.1e}')


if __name__ == '__main__':
    main()
