"""List the photos whose masks are least certain, without true masks.

The confidence of a mask is how well it agrees with the outlines of the photo,
or, without --photos, how far its maps are from being 0 and 1 alone, see
mmlpcam/evaluation/mask_quality.py. The worst come first: look at them, correct
them (tools/export_masks.py --ids), or leave them out.
"""
import argparse
import csv
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import spearmanr

from mmlpcam.apis import PhotoInput, find_photos
from mmlpcam.evaluation import (class_confidence, find_maps, read_bg_thr,
                                read_manifest)
from mmlpcam.structures import ActivationMaps
from mmlpcam.utils import atomic_path, write_bytes
from mmlpcam.utils.masks import read_index_mask
from mmlpcam.utils.parallel import track_on_terminal


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: tools/rank_masks.py runs/first/labels --photos photos'
    )
    parser.add_argument(
        'labels',
        type=Path,
        help='folder with maps/: that of a stage that writes labels, or what '
        'tools/predict.py wrote with a classifier')
    parser.add_argument(
        '--photos',
        help='folder of the photos: the ranking is better with them')
    parser.add_argument(
        '--bg-thr',
        type=float,
        help='score of the background (default: that of the stage)')
    parser.add_argument(
        '--worst',
        type=int,
        help='number of photos in worst.txt (default: 5 %% of them)')
    parser.add_argument(
        '--out',
        type=Path,
        help='folder for ranking.csv and worst.txt (default: LABELS)')
    parser.add_argument(
        '--masks',
        type=Path,
        help='folder of true masks of some photos, to see how well the '
        'ranking agrees with their IoU')
    args = parser.parse_args()
    if args.worst is not None and args.worst < 1:
        parser.error(f'--worst must be at least 1, but is {args.worst}')
    return args


class Ranked(NamedTuple):
    """A photo, how certain its mask is, and the class with the least."""
    photo: str
    confidence: float
    weakest: int


def find_bg_thr(args: argparse.Namespace) -> float | str:
    if args.bg_thr is not None:
        if not 0 <= args.bg_thr <= 1:
            raise ValueError(f'--bg-thr must be in [0, 1], but is '
                             f'{args.bg_thr}')
        return args.bg_thr
    manifest = args.labels / 'manifest.json'
    if not manifest.exists():
        raise ValueError(f'{args.labels} does not say with which score of the '
                         'background its masks were made: give --bg-thr')
    try:
        return read_bg_thr(manifest)
    except ValueError as error:
        raise ValueError(f'{error}: give --bg-thr') from error


def read_photo_of(name: str, photos: dict[str, PhotoInput],
                  args: argparse.Namespace) -> np.ndarray:
    """Read the photo of a mask. Maps may be of another size than both."""
    if name not in photos:
        raise ValueError(f'{args.photos} holds no photo {name}, of which '
                         f'there are maps in {args.labels}')
    photo = photos[name].read()
    mask = args.labels / 'masks' / f'{name}.png'
    if mask.is_file() and read_index_mask(mask).shape != photo.shape[:2]:
        raise ValueError(f'{photos[name].source} is {photo.shape[:2]} (H, W), '
                         f'but {mask} is not: they are not of one photo')
    return photo


def rank(args: argparse.Namespace, bg_thr: float | str) -> list[Ranked]:
    """Return the photos that have a class, the least certain mask first."""
    map_dir = find_maps(args.labels, [])
    files = sorted(map_dir.rglob('*.npz'))
    photos = {
        photo.name: photo
        for photo in find_photos(args.photos)
    } if args.photos else {}
    found = []
    for path in track_on_terminal((files, len(files))):
        maps = ActivationMaps.load(path)
        if maps.labels:
            name = path.relative_to(map_dir).with_suffix('').as_posix()
            photo = read_photo_of(name, photos, args) if args.photos else None
            each = class_confidence(maps.full(), bg_thr, photo)
            found.append(
                Ranked(name, float(each.mean()), maps.labels[each.argmin()]))
    if not found:
        raise ValueError(f'{map_dir} holds no maps of any class')
    return sorted(found, key=lambda item: (item.confidence, item.photo))


def true_ious(ranking: list[Ranked], args: argparse.Namespace) -> np.ndarray:
    """Return the mean IoU over the classes of each mask, or NaN.

    Classes count that are in the made or in the true mask.
    """
    ious = np.full(len(ranking), np.nan)
    if not any(
        (args.masks / f'{item.photo}.png').is_file() for item in ranking):
        raise ValueError(f'{args.masks} holds no mask of any ranked photo, '
                         f'such as {ranking[0].photo}.png')
    for index, item in enumerate(ranking):
        path = args.masks / f'{item.photo}.png'
        if path.is_file():
            truth = read_index_mask(path)
            made = read_index_mask(args.labels / 'masks' / f'{item.photo}.png')
            if truth.shape != made.shape:
                raise ValueError(f'{path} is {truth.shape} (H, W), but the '
                                 f'made mask is {made.shape}')
            made, truth = made[truth != 255], truth[truth != 255]
            ious[index] = np.mean(
                [((made == value) & (truth == value)).sum() /
                 ((made == value) | (truth == value)).sum()
                 for value in np.union1d(made, truth) if value] or [1.])
    return ious


def write(ranking: list[Ranked], names: list[str], out: Path,
          worst: int) -> None:
    with atomic_path(out / 'ranking.csv') as tmp, open(
            tmp, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(['photo', 'confidence', 'weakest_class'])
        for item in ranking:
            writer.writerow([
                item.photo, f'{item.confidence:.4f}',
                names[item.weakest + 1] if names else item.weakest + 1
            ])
    lines = ''.join(f'{item.photo}\n' for item in ranking[:worst])
    write_bytes(out / 'worst.txt', lines.encode())


def main() -> int:
    args = parse_args()
    out = args.out or args.labels
    try:
        bg_thr = find_bg_thr(args)
        ranking = rank(args, bg_thr)
        manifest = args.labels / 'manifest.json'
        names = read_manifest(manifest)['classes'] if manifest.exists() else []
        last = max(item.weakest for item in ranking) + 1
        if names and last >= len(names):
            raise ValueError(f'maps in {args.labels} are of class {last}, but '
                             f'{manifest} names {len(names) - 1}: they are '
                             'not of one run')
        worst = args.worst or max(len(ranking) // 20, 1)
        ious = true_ious(ranking, args) if args.masks else None
        write(ranking, names, out, worst)
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    for item in ranking[:10]:
        print(f'{item.confidence:.3f}  {item.photo}')
    if ious is not None:
        known = ~np.isnan(ious)
        rho = spearmanr([item.confidence for item in ranking],
                        ious,
                        nan_policy='omit').statistic
        print(f'rank correlation (Spearman) with the true IoU of '
              f'{known.sum()} photos: {rho:.2f}; mean IoU of all '
              f'{100 * ious[known].mean():.1f}, of those in worst.txt '
              f'{100 * np.nanmean(ious[:worst]):.1f}')
    print(f'written: {out / "ranking.csv"}, {len(ranking)} photos at '
          f'bg_thr={bg_thr}, and the worst {worst} in worst.txt')
    return 0


if __name__ == '__main__':
    sys.exit(main())
