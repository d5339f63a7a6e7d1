"""k-means on features of one class: matrix products against plain forms.

A round is timed against the official way, the product of each point with
each centre channel by channel (N x K x D numbers), and a whole clustering
against scikit-learn on unit vectors, from the same start.
"""
import argparse
from statistics import median

import torch
import torch.nn.functional as F
from sklearn.cluster import KMeans
from torch import Tensor

from mmlpcam.ops import KMeansResult, kmeans
from .common import Comparison, time_in_turns

NUM_PARTS = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this subject can vary."""
    parser.add_argument('--points', type=int, default=20000, help='points N')
    parser.add_argument(
        '--channels', type=int, default=2048, help='channels D')
    parser.add_argument(
        '--clusters',
        type=int,
        nargs='+',
        default=(12, 50),
        help='numbers of clusters K')
    parser.add_argument(
        '--plain-points',
        type=int,
        default=2000,
        help='points of the plain round, whose time is scaled up; it needs '
        '4 K D bytes for each')


@torch.no_grad()
def run(args: argparse.Namespace) -> list[Comparison]:
    """Measure."""
    points = part_features(args.points, args.channels).to(args.device)
    return [
        compare(args, points, number) for number in args.clusters
        for compare in (_one_round, _whole)
    ]


def _one_round(args: argparse.Namespace, points: Tensor,
               number: int) -> Comparison:
    some, start = points[:args.plain_points], points[:number]
    rounds = kmeans(points, number, init=start).num_iters
    if rounds < 2:
        raise ValueError(f'{len(points)} points are clustered in a round: '
                         'give more')
    copy = torch.empty_like(points)
    seconds = time_in_turns(
        dict(
            copy=lambda: copy.copy_(points),
            plain=lambda: plain_round(some, start),
            once=lambda: kmeans(points, number, init=start, max_iters=1),
            ours=lambda: kmeans(points, number, init=start)), args.repeats,
        args.device)
    theirs = plain_round(some, start)
    ours = kmeans(some, number, init=start, max_iters=1)
    worst = float((theirs - ours.centers).abs().max())
    share = len(points) / len(some)
    ours_seconds = [(whole - once) / (rounds - 1)
                    for whole, once in zip(seconds['ours'], seconds['once'])]
    size = points.element_size() * points.numel()
    copied = 2 * size / median(seconds['copy'])  # read and written
    return Comparison(
        f'a round of k-means, {_size(points, number)}',
        dict(
            plain=[share * each for each in seconds['plain']],
            ours=ours_seconds),
        notes=[
            f'Largest difference of the centres after a round: {worst:.1e}.',
            f'The plain form: on {len(some)} points, times {share:.3g}. Ours: '
            f'the time of {rounds} rounds less that of one, by the other '
            f'{rounds - 1}; one takes {1e3 * median(seconds["once"]):.0f} ms '
            'with the lengths of the points before and the means after.',
            f'Copying the points moves {copied / 1e9:.3g} GB/s; a round takes '
            f'as long as reading all of them at '
            f'{100 * size / median(ours_seconds) / copied:.0f} % of that.'
        ])


def _whole(args: argparse.Namespace, points: Tensor,
           number: int) -> Comparison:
    unit = F.normalize(points, dim=1).cpu().numpy()

    def by_sklearn() -> KMeans:
        return KMeans(number, init=unit[:number], n_init=1).fit(unit)

    def ours() -> KMeansResult:
        return kmeans(points, number, init=points[:number])

    seconds = time_in_turns({
        'scikit-learn': by_sklearn,
        'ours': ours
    }, args.repeats, args.device)
    theirs, found = by_sklearn(), ours()
    objectives = {
        'scikit-learn':
        objective(points,
                  torch.from_numpy(theirs.labels_).long().to(points.device),
                  torch.from_numpy(theirs.cluster_centers_).to(points.device)),
        'ours':
        objective(points, found.labels, found.centers)
    }
    difference = objectives['ours'] / objectives['scikit-learn'] - 1
    return Comparison(
        f'k-means to its end, {_size(points, number)}',
        seconds,
        columns={
            'rounds': {
                'scikit-learn': str(theirs.n_iter_),
                'ours': str(found.num_iters)
            },
            'objective': {
                way: f'{value:.6f}'
                for way, value in objectives.items()
            }
        },
        notes=[
            'Objective: the mean cosine distance to the centre; ours differs '
            f'by {difference:.1e} of it.'
        ])


def part_features(number: int, channels: int) -> Tensor:
    """Features (number, channels) as after a ReLU: mixtures of two parts."""
    parts = 4 * torch.rand(NUM_PARTS, channels)**6
    one, other = torch.randint(NUM_PARTS, (2, number))
    share = torch.rand(number, 1)
    length = .5 + torch.rand(number, 1)
    mixed = length * (share * parts[one] + (1 - share) * parts[other])
    return (mixed + .3 * torch.randn(number, channels)).relu()


def plain_round(points: Tensor, centers: Tensor) -> Tensor:
    """As the equations say: cosine of each pair, mean of the members."""
    unit = F.normalize(points, dim=1)[:, None]
    distance = 1 - (unit * F.normalize(centers, dim=1)[None]).sum(2)
    labels = distance.argmin(1)
    return torch.stack(
        [points[labels == k].mean(0) for k in range(len(centers))])


def objective(points: Tensor, labels: Tensor, centers: Tensor) -> float:
    """Mean cosine distance of the points to the centres of their labels."""
    cosines = F.normalize(points, dim=1) @ F.normalize(centers, dim=1).t()
    return float(1 - cosines.gather(1, labels[:, None]).mean())


def _size(points: Tensor, number: int) -> str:
    return f'N = {len(points)}, D = {points.shape[1]}, K = {number}'
