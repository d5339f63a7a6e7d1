"""Label photos in tar shards: a shard of masks for each shard of photos.

The shards have the layout of WebDataset: <key>.jpg, and for a classifier its
tags as <key>.json, a list of class names, or <key>.cls, class indices.
tools/dataset_converters/make_shards.py writes them, shards_to_labels.py there
reads the masks. The same command again goes on where a run was stopped; all
processes of a launcher share the work.
"""
import argparse
import sys
from contextlib import nullcontext

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, get_file_backend

from mmlpcam.apis import LPCAMInferencer, ShardCounts, ShardLabeler
from mmlpcam.datasets import shard_names
from mmlpcam.engine import init_distributed, run_lock
from mmlpcam.utils import (SettingsAction, parse_run_args, read_run_config,
                           run_tool, user_errors)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        epilog='example: tools/dist_run.sh 8 label_shards.py '
        'my_project/classifier.py runs/first/classifier '
        "'shards/photos-{000000..000199}.tar' labels")
    parser.add_argument(
        'config',
        help='config file of a classifier or segmentor, with a '
        '`test_pipeline`')
    parser.add_argument(
        'checkpoint',
        help='checkpoint file, or the folder of a run: its last checkpoint')
    parser.add_argument(
        'shards',
        help='name of a shard, many as in a-{000..199}.tar, or a '
        '.txt file with such a line for each')
    parser.add_argument(
        'out_dir',
        help='folder for the shards of masks, which have the same names')
    parser.add_argument(
        '--maps',
        action='store_true',
        help='write the maps of a classifier too, <key>.npz')
    parser.add_argument(
        '--batch-size',
        type=int,
        default=1,
        help='photos of one size that are predicted together')
    parser.add_argument(
        '--skip-bad',
        action='store_true',
        help='leave out photos that cannot be decoded, with <key>.error in '
        'their place; else their shard gets no labels')
    parser.add_argument(
        '--backend-args',
        nargs='+',
        action=SettingsAction,
        help="file backend of all shards, as in MMEngine's backend_args; the "
        'prefix of their names by default')
    return parse_run_args(parser)


def label(args: argparse.Namespace) -> ShardCounts:
    """Label the shards and return what has come of them."""
    cfg = read_run_config(args)
    with user_errors():
        init_distributed(cfg)
        shards = shard_names(args.shards, args.backend_args)
        is_local = isinstance(
            get_file_backend(args.out_dir, backend_args=args.backend_args),
            LocalBackend)
        with run_lock(args.out_dir) if is_local else nullcontext():
            labeler = ShardLabeler(
                LPCAMInferencer(cfg, args.checkpoint),
                args.out_dir,
                save_maps=args.maps,
                batch_size=args.batch_size,
                skip_bad=args.skip_bad,
                backend_args=args.backend_args)
            return labeler.run(shards)


def main() -> None:
    args = parse_args()
    found = label(args)
    if is_main_process():
        print(f'{found.written} shards of labels written to {args.out_dir}, '
              f'{found.present} were there; {found.masks} masks; '
              f'{found.skipped} photos left out')
        for shard, error in found.failed.items():
            print(f'error: no labels of {shard}: {error}', file=sys.stderr)
    if found.failed:
        raise SystemExit(1)


if __name__ == '__main__':
    run_tool(main)
