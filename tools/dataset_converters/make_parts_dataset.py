# Copyright (c) mmlpcam contributors. Licensed under Apache-2.0.
"""Make the generated *parts* dataset in PASCAL VOC's folder layout.

Example:
    python tools/dataset_converters/make_parts_dataset.py data/parts
"""
import argparse
import sys
import time
from collections.abc import Iterable

from mmengine.utils import track_iter_progress

from mmlpcam.converters.parts import PartsSettings, make_parts_dataset


def parse_args() -> argparse.Namespace:
    defaults = PartsSettings()
    parser = argparse.ArgumentParser(
        description='Make the generated parts dataset (PASCAL VOC layout)',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('out_dir', help='folder to make')
    parser.add_argument(
        '--num-train',
        type=int,
        default=defaults.num_train,
        help='training images')
    parser.add_argument(
        '--num-val',
        type=int,
        default=defaults.num_val,
        help='validation images')
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        default=defaults.size,
        metavar=('H', 'W'),
        help='height and width of the images')
    parser.add_argument(
        '--seed', type=int, default=defaults.seed, help='random seed')
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace a parts dataset that is there already')
    return parser.parse_args()


def track(tasks: list) -> Iterable:
    """Show a progress bar where somebody can watch it."""
    if not sys.stdout.isatty():
        return tasks
    return track_iter_progress(tasks, file=sys.stdout)


def main() -> int:
    args = parse_args()
    start = time.monotonic()
    try:
        settings = PartsSettings(args.num_train, args.num_val,
                                 tuple(args.size), args.seed)
        was_made = make_parts_dataset(
            args.out_dir, settings, overwrite=args.overwrite, track=track)
    except (OSError, ValueError) as error:
        # Errors that name no file already say all in their text.
        named = getattr(error, 'filename', None) is not None
        text = None if named else getattr(error, 'strerror', None)
        print(f'error: {text or error}', file=sys.stderr)
        return 1
    if was_made:
        print(f'{args.num_train} training and {args.num_val} validation '
              f'images written to {args.out_dir} in '
              f'{time.monotonic() - start:.1f} s')
    else:
        print(f'{args.out_dir} holds this dataset already; nothing to do')
    return 0


if __name__ == '__main__':
    sys.exit(main())
