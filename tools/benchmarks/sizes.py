"""Maps of images of new sizes against those of sizes seen before.

Each round maps images of noise with about the same number of pixels, one at a
time: some of the sizes of all rounds, and some of sizes that no round has had.
On a GPU both also with cuDNN as it comes, which plans each new size.
"""
import argparse
import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner.amp import autocast
from mmseg.registry import MODELS

from mmlpcam.models import fold_batch_norm, multi_scale_maps, without_plans
from . import labels
from .common import Comparison, time_in_turns

PIXELS = 375 * 500
HEIGHTS = range(300, 625)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this subject can vary."""
    labels.add_model_arguments(parser)
    parser.add_argument(
        '--fp16',
        action='store_true',
        help='in half precision (bfloat16 on a CPU)')


@torch.no_grad()
def run(args: argparse.Namespace) -> list[Comparison]:
    """Measure."""
    init_default_scope('mmseg')
    MMLogger.get_instance('benchmark', log_level='ERROR')
    model = MODELS.build(labels.model_cfg(args.config, 'lpcam'))
    labels.randomize(model)
    model.to(args.device).eval()
    fold_batch_norm(model)
    present = labels.present_classes(model.decode_head.num_classes - 1)
    unused = random.Random(0).sample(HEIGHTS, len(HEIGHTS))
    # two ways on a GPU, and each warms up
    needed = 2 * (args.repeats + 1) * args.num_photos + args.num_photos
    if needed > len(unused):
        raise SystemExit(
            f'there are {len(unused)} sizes, but {args.repeats} rounds of '
            f'{args.num_photos} images need {needed}: give fewer of either')

    def draw() -> list[int]:
        return [unused.pop() for _ in range(args.num_photos)]

    def compute(context: Callable[[], AbstractContextManager],
                heights: list[int] | None = None) -> None:
        with context(), autocast(enabled=args.fp16):
            for height in heights or draw():
                image = torch.rand(
                    1, 3, height, PIXELS // height, device=args.device)
                maps, = multi_scale_maps(model, image, [present], ['lpcam'])
                maps['lpcam'].full().cpu()

    seen = draw()
    ways = {
        'new sizes': partial(compute, without_plans),
        'sizes seen before': partial(compute, without_plans, seen)
    }
    if torch.device(args.device).type == 'cuda':
        ways = {
            'new sizes, cuDNN': partial(compute, nullcontext),
            'sizes seen before, cuDNN': partial(compute, nullcontext, seen),
            **ways
        }
    seconds = time_in_turns(ways, args.repeats, args.device)
    return [
        Comparison(
            f'maps of {args.num_photos} images, {Path(args.config).name}'
            f'{", half precision" if args.fp16 else ""}', seconds)
    ]
