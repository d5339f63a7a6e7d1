"""The dense CRF of photos: the lattice in PyTorch against pydensecrf2.

A photo's labels are a coarse cut of its colours into two classes. Without
pydensecrf2, the baseline sums over all pairs of pixels of a tiny photo.
"""
import argparse
import importlib.util
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmlpcam.ops import DenseCRF, infer_many, label_unary
from mmlpcam.utils.photos import read_photo
from .common import Comparison, duration, time_in_turns

SIZE, TINY = (375, 500), (40, 50)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this subject can vary."""
    parser.add_argument(
        '--photos',
        type=Path,
        help='folder of JPEGs, taken evenly and at their sizes; smooth random '
        'images without')
    parser.add_argument('--count', type=int, default=10, help='photos')
    parser.add_argument('--labels', type=int, default=2, help='labels')
    parser.add_argument(
        '--sets', type=int, default=1, help='label maps of each photo')


def run(args: argparse.Namespace) -> list[Comparison]:
    """Measure."""
    compiled = importlib.util.find_spec('pydensecrf') is not None
    photos = _photos(args, SIZE if compiled else TINY)
    unaries = [
        np.stack([
            label_unary(
                _coarse_labels(photo, args.labels, shift), args.labels)
            for shift in range(args.sets)
        ]) for photo in photos
    ]
    ways = dict(
        pydensecrf=partial(refine, photos, unaries, backend='pydensecrf'),
        torch=partial(refine, photos, unaries, device=args.device))
    if not compiled:
        ways = dict(
            pairs=partial(by_pairs, photos, unaries), torch=ways['torch'])
    theirs, ours = (way() for way in ways.values())
    agreement = [(a.argmax(1) == b.argmax(1)).mean()
                 for a, b in zip(theirs, ours)]
    changed = [(a.argmin(1) != b.argmax(1)).mean()
               for a, b in zip(unaries, ours)]
    seconds = time_in_turns(ways, args.repeats, args.device, warm_up=False)
    return [
        Comparison(
            f'dense CRF of {len(photos)} photos, {args.labels} labels, '
            f'{args.sets} label maps each',
            seconds,
            columns={
                'per photo': {
                    way: duration(np.median(each) / len(photos))
                    for way, each in seconds.items()
                }
            },
            notes=[
                f'Labels that agree: {100 * np.mean(agreement):.3f} % on '
                f'average, {100 * min(agreement):.3f} % at least; the CRF '
                f'changed {100 * np.mean(changed):.1f} % of them.'
            ])
    ]


def refine(photos: list[np.ndarray], unaries: list[np.ndarray],
           **options) -> list[np.ndarray]:
    """As the package does, with all that depends on the photo."""
    return infer_many([DenseCRF(photo, **options) for photo in photos],
                      unaries)


def by_pairs(photos: list[np.ndarray],
             unaries: list[np.ndarray]) -> list[np.ndarray]:
    """As the paper says: kernels over all pairs of pixels."""
    return [
        _exact(torch.from_numpy(photo), torch.from_numpy(unary)).numpy()
        for photo, unary in zip(photos, unaries)
    ]


def _exact(photo: Tensor, unary: Tensor) -> Tensor:
    places = torch.cartesian_prod(*map(torch.arange, photo.shape[:2])).float()
    colors = photo.flatten(0, 1).float()
    pairwise = torch.zeros(len(places), len(places))
    for weight, points in [(3, places / 3),
                           (10, torch.cat([places / 50, colors / 5], 1))]:
        kernel = torch.cdist(points, points).square().div(-2).exp()
        root = kernel.sum(1).rsqrt()
        pairwise += weight * root[:, None] * kernel * root
    probs = (-unary).softmax(1)
    for _ in range(10):
        messages = (probs.flatten(2) @ pairwise).view_as(unary)
        probs = (messages - unary).softmax(1)
    return probs


def _photos(args: argparse.Namespace, size: tuple[int, int]) -> list:
    if args.photos is None:
        small = torch.rand(args.count, 3, 7, 9) * 255
        smooth = F.interpolate(small, size, mode='bicubic')
        noisy = smooth + 3 * torch.randn(smooth.shape)
        return list(
            noisy.clamp(0, 255).byte().permute(0, 2, 3,
                                               1).contiguous().numpy())
    paths = sorted(args.photos.rglob('*.jpg'))
    if len(paths) < args.count:
        raise SystemExit(f'{args.photos} has {len(paths)} JPEGs, but --count '
                         f'is {args.count}')
    paths = paths[::len(paths) // args.count][:args.count]
    return [
        np.ascontiguousarray(read_photo(str(path))[..., ::-1])
        for path in paths
    ]


def _coarse_labels(photo: np.ndarray, num_labels: int,
                   shift: int) -> np.ndarray:
    """Labels by brightness in blocks of 16 pixels, off by some pixels."""
    height, width = photo.shape[:2]
    rows, columns = (
        np.minimum((np.arange(size) + 4 * shift) // 16 * 16 + 8, size - 1)
        for size in (height, width))
    gray = photo.mean(2)[rows[:, None], columns]
    cuts = np.quantile(gray, np.arange(1, num_labels) / num_labels)
    return np.digitize(gray, cuts)
