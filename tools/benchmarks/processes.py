"""Masks or prototypes of photos by one process and by two, one thread each.

The stages of the subjects `labels` and `prototypes` under a launcher's
environment; prototypes with their clustering.
"""
import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

import torch
import torch.multiprocessing as mp
from mmengine import dist

from mmlpcam.engine import PrototypeBuilder
from . import labels
from .common import Comparison


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this subject can vary."""
    labels.add_photo_arguments(parser)
    parser.add_argument(
        '--processes', type=int, default=2, help='to compare with one')
    parser.add_argument(
        '--work',
        choices=['masks', 'prototypes'],
        default='masks',
        help='what is made of the photos')


def run(args: argparse.Namespace) -> list[Comparison]:
    """Measure."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = labels.copy_photos(args, folder / 'photos')
        ways = {
            'one process': 1,
            f'{args.processes} processes': args.processes
        }
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        # starting takes longer than the work: only the work is timed
        for _ in range(args.repeats):
            for way, number in ways.items():
                (folder / 'meeting').unlink(missing_ok=True)
                mp.spawn(
                    _work, (number, args, folder, photos),
                    nprocs=number,
                    join=True)
                seconds[way].append(
                    float((folder / 'seconds.txt').read_text()))
        return [
            Comparison(
                f'{args.work} of {len(photos)} photos, '
                f'{Path(args.config).name}, one thread each', seconds)
        ]


def _work(rank: int, number: int, args: argparse.Namespace, folder: Path,
          photos: list[Path]) -> None:
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))
    torch.distributed.init_process_group(
        'gloo',
        init_method=f'file://{folder}/meeting',
        rank=rank,
        world_size=number)
    runner = labels.label_runner(args, folder, 'lpcam', photos)
    loop = runner.test_loop
    builder = PrototypeBuilder(
        loop._dataloader_cfg['dataset'],
        num_workers=args.num_workers,
        batch_size=args.batch_size)
    for _ in range(2):  # the first warms up
        dist.barrier()
        if rank == 0:
            shutil.rmtree(folder / 'lpcam' / 'labels', ignore_errors=True)
        dist.barrier()
        start = time.perf_counter()
        if args.work == 'masks':
            loop.run()
        else:
            builder.build(runner.model)
        dist.barrier()
    if rank == 0:
        (folder / 'seconds.txt').write_text(str(time.perf_counter() - start))
    torch.distributed.destroy_process_group()
