"""Score ways to fill and to read the prototype bank of one classifier.

The photos of test_dataloader, with their tags and true masks, go through the
network once. Each variant then fills a bank from their features, maps them,
and is scored at all background thresholds. A variant is a set of arguments
of PrototypeBankHook (fg_thr, mu_f, mu_b, soft, num_clusters, num_seeds, ...)
and of BankVariant (map_type, image_weight, spread, center, whiten, nearest,
false_positives); what it does not name is as in the config.

Those of the hook, and image_weight and spread of the head, can go into the
config of a chain as they are; whiten is there `whitening` of the head. The
others are only compared.
"""
import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from prettytable import PrettyTable

from mmlpcam.engine import (BankVariant, FeatureCache, build_scored_dataset,
                            cache_features, check_device, find_bank_hook,
                            load_weights, variant_maps)
from mmlpcam.evaluation import ThresholdSweep, sweep_thresholds, threshold_grid
from mmlpcam.models import find_prototype_head
from mmlpcam.utils import add_cfg_options, read_config, write_json
from mmlpcam.utils.parallel import track_on_terminal

SHOWN = ('mIoU', 'FP', 'FN')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: tools/compare_banks.py '
        'configs/lpcam/cam_m-v2_coco-mini.py epoch_20.pth '
        'configs/_base_/bank_variants.py --out banks.json')
    parser.add_argument('config', help='config of the classifier')
    parser.add_argument('checkpoint', help='checkpoint of the classifier')
    parser.add_argument(
        'variants', help='config with `variants`, a dict of settings by name')
    parser.add_argument(
        '--only', nargs='+', metavar='NAME', help='variants to score')
    parser.add_argument(
        '--scales',
        nargs='+',
        type=float,
        default=[1.],
        help='scales of the maps; prototypes come from the first (default: 1)')
    parser.add_argument(
        '--flip', action='store_true', help='fuse mirror images')
    parser.add_argument('--out', help='JSON file to write')
    parser.add_argument(
        '--cache-dir', help='where features lie meanwhile (default: /tmp)')
    parser.add_argument(
        '--device',
        default=get_device(),
        help='where the network runs, such as cuda:0 or cpu')
    add_cfg_options(parser, 'settings of the config to override, as key=value')
    return parser.parse_args()


def read_variants(path: str, only: list[str] | None) -> dict[str, BankVariant]:
    settings = read_config(path).get('variants') or {}
    if not isinstance(settings, dict):
        raise ValueError(f'{path}: `variants` must be a dict of settings by '
                         f'name, but is {settings!r}')
    names = only or list(settings)
    unknown = set(names) - set(settings)
    if unknown or not names:
        raise ValueError(f'{path} has the variants {list(settings)}, but not '
                         f'{sorted(unknown) or "any"}')
    return {name: BankVariant.parse(settings[name]) for name in names}


def collect(args: argparse.Namespace, cfg: Config,
            folder: Path) -> tuple[FeatureCache, torch.nn.Module, tuple]:
    dataset = build_scored_dataset(cfg)
    model = MODELS.build(cfg.model)
    # variants have banks of their own
    load_weights(model, args.checkpoint, bank=False)
    model.to(args.device).eval()
    head = find_prototype_head(model)
    settings = head.settings.changed(scales=args.scales, flip=args.flip)
    passes = cache_features(model, dataset, settings, folder)
    *_, photos = track_on_terminal((passes, len(dataset)))
    return photos, head.cpu(), dataset.metainfo['classes']


def print_table(sweeps: dict[str, ThresholdSweep]) -> None:
    table = PrettyTable(['variant', 'threshold', *SHOWN])
    table.align = 'r'
    table.align['variant'] = 'l'
    for name, sweep in sweeps.items():
        best = sweep.best
        table.add_row([name, f'{sweep.thresholds[best]:.2f}'] +
                      [f'{sweep.means[key][best]:.2f}' for key in SHOWN])
    print(table)
    print('At the background threshold with the best mIoU for each, tuned '
          'with the true masks\nof these photos: a comparison of maps.')


def write_scores(args: argparse.Namespace,
                 sweeps: dict[str, ThresholdSweep]) -> None:
    rows = {
        name:
        dict(
            bg_thr=float(sweep.thresholds[sweep.best]),
            **{key: float(sweep.means[key][sweep.best])
               for key in SHOWN})
        for name, sweep in sweeps.items()
    }
    write_json(
        args.out,
        dict(
            config=args.config,
            checkpoint=args.checkpoint,
            variants=args.variants,
            scales=args.scales,
            flip=args.flip,
            tuned_on_split=True,
            num_images=next(iter(sweeps.values())).num_images,
            scores=rows))
    print(f'written: {args.out}')


def main() -> int:
    args = parse_args()
    sweeps = {}
    try:
        cfg = read_config(args.config, args.cfg_options)
        check_device(args.device)
        init_default_scope(cfg.get('default_scope', 'mmseg'))
        hook = find_bank_hook(cfg)
        variants = read_variants(args.variants, args.only)
        for variant in variants.values():
            variant.builder(hook)  # fails before the pass
        with tempfile.TemporaryDirectory(dir=args.cache_dir) as folder:
            photos, head, classes = collect(args, cfg, Path(folder))
            for name, variant in variants.items():
                start = time.perf_counter()
                sweeps[name] = sweep_thresholds(
                    variant_maps(head, photos, variant, hook, classes[1:]),
                    threshold_grid(0., 0.99, 0.01), len(classes))
                print(f'{name}: mIoU {sweeps[name].means["mIoU"].max():.2f} '
                      f'({time.perf_counter() - start:.0f} s)')
        print_table(sweeps)
        if args.out:
            write_scores(args, sweeps)
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
