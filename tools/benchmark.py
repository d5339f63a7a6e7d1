"""Time what mmlpcam computes against the plain way to compute it.

maps: the maps of one PASCAL VOC image (375 x 500) from ready features of a
ResNet-50 at four scales, 2 classes with 8 class and 10 context prototypes
each; one product against a loop over prototypes.

walk: the random walk of one VOC image on its grid of 94 x 125 cells; sparse
steps against the square of the dense matrix, with the peak memory of each.

The results of the two ways are compared: the difference must be rounding.
"""
import argparse
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from prettytable import PrettyTable
from torch import Tensor

from mmlpcam.ops import (activation_maps, covered_size, full_size_maps,
                         normalize_maps, prototype_direction, random_walk,
                         strided_maps, transition_matrix)

SIZE = (375, 500)
SCALES = (1.0, 0.5, 1.5, 2.0)
NUM_STEPS = 256


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    subparsers = parser.add_subparsers(required=True)
    maps = subparsers.add_parser(
        'maps', formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    maps.set_defaults(run=benchmark_maps)
    maps.add_argument('--repeats', type=int, default=5, help='timed runs')
    maps.add_argument(
        '--channels', type=int, default=2048, help='feature channels')
    maps.add_argument(
        '--class-prototypes', type=int, default=8, help='per class')
    maps.add_argument(
        '--context-prototypes', type=int, default=10, help='per class')
    walk = subparsers.add_parser(
        'walk', formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    walk.set_defaults(run=benchmark_walk)
    walk.add_argument('--repeats', type=int, default=1, help='timed runs')
    walk.add_argument(
        '--grid',
        type=int,
        nargs=2,
        default=(94, 125),
        help='cells (H, W); the dense way needs 16 (HW)^2 bytes')
    walk.add_argument(
        '--sparse-only',
        action='store_true',
        help='leave out the dense way, on grids too large for it')
    for sub in (maps, walk):
        sub.add_argument('--classes', type=int, default=2, help='classes')
        sub.add_argument('--device', default='cpu', help='torch device')
    return parser.parse_args()


def finish(per_scale: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Fuse the scales, which both ways do alike."""
    full = sum(
        full_size_maps(maps, SIZE, covered_size(SIZE, 16))
        for maps in per_scale)
    strided = sum(strided_maps(maps, SIZE) for maps in per_scale)
    return normalize_maps(full), normalize_maps(strided)


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


def by_steps(maps: Tensor, edge: Tensor) -> Tensor:
    return random_walk(maps, edge, num_steps=NUM_STEPS)


def by_squares(maps: Tensor, edge: Tensor) -> Tensor:
    matrix = transition_matrix(edge, radius=5, beta=10).to_dense()
    for _ in range(NUM_STEPS.bit_length() - 1):
        matrix = matrix @ matrix
    start = (maps * (1 - edge)).flatten(1).t()
    return (matrix @ start).t().reshape(maps.shape)


def time_once(function: Callable, *args, device: str) -> float:
    start = time.perf_counter()
    function(*args)
    if torch.device(device).type == 'cuda':
        torch.cuda.synchronize()
    return time.perf_counter() - start


def print_times(times: dict[Callable, list[float]], device: str,
                **columns: list) -> None:
    table = PrettyTable(['way', 'median ms', 'min ms', 'max ms', *columns])
    for row, (way, values) in enumerate(times.items()):
        table.add_row([way.__name__] + [
            f'{1000 * value:.1f}'
            for value in (statistics.median(values), min(values), max(values))
        ] + [column[row] for column in columns.values()])
    print(f'{device}, {torch.get_num_threads()} threads, '
          f'torch {torch.__version__}')
    print(table)


def median_ratio(ours: list[float], theirs: list[float]) -> str:
    ratios = [b / a for a, b in zip(ours, theirs)]
    return (f'median {statistics.median(ratios):.0f} '
            f'({min(ratios):.0f} to {max(ratios):.0f})')


@torch.no_grad()
def benchmark_maps(args: argparse.Namespace) -> None:

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
        for way, values in times.items():
            values.append(time_once(way, *inputs, device=args.device))
    print_times(times, args.device)
    print(f'ratio loop / product: '
          f'{median_ratio(times[by_product], times[by_loop])}; largest '
          f'difference of the maps {worst:.1e}')


def walk_inputs(args: argparse.Namespace) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    maps = torch.rand(args.classes, *args.grid, device=args.device)
    # few boundaries, as in images
    return maps, torch.rand(*args.grid, device=args.device)**4


@torch.no_grad()
def measure(way: Callable,
            args: argparse.Namespace) -> tuple[float, float, Tensor]:
    """Seconds, MiB on top of the inputs, and the walked maps."""
    inputs = walk_inputs(args)
    way(*(each[..., :8, :8] for each in inputs))  # loads libraries
    on_gpu = torch.device(args.device).type == 'cuda'
    if on_gpu:
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
    else:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    walked = way(*inputs)
    if on_gpu:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    if on_gpu:
        mib = (torch.cuda.max_memory_allocated() - before) / 2**20
    else:
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        mib = (after - before) / 1024
    return seconds, mib, walked.cpu()


@torch.no_grad()
def benchmark_walk(args: argparse.Namespace) -> None:
    ways = [by_steps] if args.sparse_only else [by_steps, by_squares]
    found = {way: [] for way in ways}
    context = multiprocessing.get_context('spawn')
    for _ in range(args.repeats):  # in turns, so that drift hits both
        for way, results in found.items():
            # a fresh process: its peak is never more than its own
            with context.Pool(1) as pool:
                results.append(pool.apply(measure, (way, args)))
    edge = walk_inputs(args)[1]
    links = transition_matrix(edge, radius=5, beta=10)._nnz()
    cells = edge.numel()
    products = {
        by_steps: NUM_STEPS * links * args.classes,
        by_squares: 8 * cells**3 + cells**2 * args.classes
    }
    times = {way: [seconds for seconds, *_ in r] for way, r in found.items()}
    peaks = [max(mib for _, mib, _ in r) for r in found.values()]
    print_times(
        times, args.device, **{
            'peak MiB': [f'{peak:.0f}' for peak in peaks],
            'multiply-adds': [f'{products[way]:.2e}' for way in ways]
        })
    if not args.sparse_only:
        ours, theirs = (found[way][0][-1] for way in ways)
        difference = float((ours - theirs).abs().max() / theirs.max())
        print(f'ratio squares / steps: time '
              f'{median_ratio(times[by_steps], times[by_squares])}, memory '
              f'{peaks[1] / peaks[0]:.0f}, multiply-adds '
              f'{products[by_squares] / products[by_steps]:.0f}; largest '
              f'difference of the maps {difference:.1e} of their maximum')


def main() -> None:
    torch.manual_seed(0)
    args = parse_args()
    args.run(args)


if __name__ == '__main__':
    main()
