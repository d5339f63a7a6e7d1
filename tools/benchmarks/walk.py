"""The random walk of VOC images: sparse steps against dense squares.

Ours walks all images together. The baseline squares the dense matrix of all
cells of an image, as IRN does. Each call runs in a process of its own, so that
its peak of memory is its own.
"""
import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor

from mmlpcam.ops import random_walk_many, transition_matrix
from .common import Comparison, duration

NUM_STEPS = 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this subject can vary."""
    parser.set_defaults(repeats=1)
    parser.add_argument(
        '--images', type=int, default=1, help='images that walk together')
    parser.add_argument('--classes', type=int, default=2, help='classes')
    parser.add_argument(
        '--grid',
        type=int,
        nargs=2,
        default=(94, 125),
        help='cells (H, W); the dense way needs 16 (HW)^2 bytes')
    parser.add_argument(
        '--sparse-only',
        action='store_true',
        help='leave out the dense way, on grids too large for it')


def run(args: argparse.Namespace) -> list[Comparison]:
    """Measure."""
    ways: dict[str, Callable] = dict(steps=by_steps)
    if not args.sparse_only:
        ways = dict(squares=by_squares, **ways)
    found: dict[str, list[tuple[float, float, Tensor]]]
    found = {name: [] for name in ways}
    context = multiprocessing.get_context('spawn')
    for _ in range(args.repeats):  # in turns, so that drift hits both
        for name, way in ways.items():
            # a fresh process: its peak is never more than its own
            with context.Pool(1) as pool:
                found[name].append(pool.apply(_measure, (way, args)))
    edge = _inputs(args)[1][0]
    links = transition_matrix(edge, radius=5, beta=10)._nnz()
    cells = edge.numel()
    products = dict(
        steps=args.images * NUM_STEPS * links * args.classes,
        squares=args.images * (8 * cells**3 + cells**2 * args.classes))
    notes = []
    if not args.sparse_only:
        theirs, ours = (results[0][-1] for results in found.values())
        difference = float((ours - theirs).abs().max() / theirs.max())
        notes = [
            f'Largest difference of the maps: {difference:.1e} of their '
            'maximum.'
        ]
    return [
        Comparison(
            f'random walk of {args.images} images of {args.grid[0]} x '
            f'{args.grid[1]} cells, {args.classes} classes, {NUM_STEPS} steps',
            {
                name: [seconds for seconds, *_ in r]
                for name, r in found.items()
            },
            columns={
                'per image': {
                    name:
                    duration(
                        median(seconds for seconds, *_ in r) / args.images)
                    for name, r in found.items()
                },
                'peak MiB': {
                    name: f'{max(mib for _, mib, _ in r):.0f}'
                    for name, r in found.items()
                },
                'multiply-adds': {
                    name: f'{products[name]:.2e}'
                    for name in found
                }
            },
            notes=notes)
    ]


def by_steps(maps: Tensor, edges: Tensor) -> Tensor:
    """As the package does: sparse steps, of all images at once."""
    return torch.stack(random_walk_many(maps, edges, num_steps=NUM_STEPS))


def by_squares(maps: Tensor, edges: Tensor) -> Tensor:
    """As the official code does: squares of the dense matrix."""
    walked = []
    for each, edge in zip(maps, edges):
        matrix = transition_matrix(edge, radius=5, beta=10).to_dense()
        for _ in range(NUM_STEPS.bit_length() - 1):
            matrix = matrix @ matrix
        start = (each * (1 - edge)).flatten(1).t()
        walked.append((matrix @ start).t().reshape(each.shape))
    return torch.stack(walked)


def _inputs(args: argparse.Namespace) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    maps = torch.rand(
        args.images, args.classes, *args.grid, device=args.device)
    # few boundaries, as in images
    return maps, torch.rand(args.images, *args.grid, device=args.device)**4


@torch.no_grad()
def _measure(way: Callable,
             args: argparse.Namespace) -> tuple[float, float, Tensor]:
    """Seconds, MiB on top of the inputs, and the walked maps."""
    inputs = _inputs(args)
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
