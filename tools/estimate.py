"""Estimate time, disk and memory of a chain for a number of images.

The chain of the config is run on a few of its own images, and on twice as
many, in temporary folders. Iterations take the median of what they took
there, times their number. All else (start, prototypes, checkpoints, files) is
a straight line through the two runs. Validation is left out, and each stage
is counted with all images, also one that scores only a part of them. It holds
for one process on this machine, left alone, and for images like those of the
config. A second more or less in the runs is multiplied like all else: raise
--measure for a better estimate.
"""
import argparse
from datetime import timedelta

from prettytable import PrettyTable

from mmlpcam.engine.chain_estimate import extrapolate, measure_chain
from mmlpcam.utils import (add_cfg_options, read_config, run_tool, user_errors,
                           write_json)

GIB = 2**30


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: tools/estimate.py my_project/segmentor.py '
        '--num-images 1000000')
    parser.add_argument('config', help='config file of a chain')
    parser.add_argument(
        '--num-images', type=int, required=True, help='images to estimate for')
    parser.add_argument(
        '--measure',
        type=int,
        default=32,
        help='images of the first run, at least four batches (default: '
        '%(default)s)')
    parser.add_argument('--json', help='file for the numbers')
    add_cfg_options(parser)
    args = parser.parse_args()
    if args.num_images < 1:
        parser.error(f'--num-images must be at least 1, but is '
                     f'{args.num_images}')
    return args


def estimate(args: argparse.Namespace) -> dict:
    """Run the chain twice and return the estimate."""
    cfg = read_config(args.config, args.cfg_options)
    few, more = measure_chain(cfg, args.measure)
    stages = extrapolate(few, more, args.num_images)
    return dict(
        num_images=args.num_images,
        measured_images=[few.num_images, more.num_images],
        measured_seconds=[
            sum(stage.seconds for stage in run.stages) for run in (few, more)
        ],
        stages=[stage._asdict() for stage in stages],
        seconds=sum(stage.seconds for stage in stages),
        num_bytes=sum(stage.num_bytes for stage in stages),
        memory_bytes=more.peak_bytes + args.num_images * more.list_bytes,
        measured_memory_bytes=more.peak_bytes,
        gpu_memory_bytes=more.gpu_peak_bytes)


def print_estimate(found: dict) -> None:
    table = PrettyTable(['stage', 'time', 'disk (GiB)'])
    table.align = 'r'
    table.align['stage'] = 'l'
    for stage in (*found['stages'], dict(found, name='all')):
        table.add_row([
            stage['name'],
            timedelta(seconds=round(stage['seconds'])),
            f'{stage["num_bytes"] / GIB:.2f}'
        ])
    print(table)
    few, more = found['measured_images']
    print(f'{found["num_images"]} images, extrapolated from runs on {few} and '
          f'{more}; one process of this machine')
    print(f'memory {found["memory_bytes"] / GIB:.1f} GiB: measured '
          f'{found["measured_memory_bytes"] / GIB:.1f}, the rest for the '
          'lists of images and labels, without loader processes')
    if found['gpu_memory_bytes']:
        print(f'GPU memory {found["gpu_memory_bytes"] / GIB:.1f} GiB, '
              'measured: larger images need more')


def main() -> None:
    args = parse_args()
    with user_errors():
        found = estimate(args)
        if args.json:
            write_json(args.json, found)
    print_estimate(found)


if __name__ == '__main__':
    run_tool(main)
