"""Score stored maps at all background thresholds and suggest some.

Maps are those that a stage with task='label' writes where its config has
label_evaluator=dict(save_maps=True); scores are those of CAMIoUMetric. The
true masks come from the test_dataloader of the config. They are what image
labels do not give: thresholds tuned with them are a fair setting only if
these images are held out.

Maps of a classifier: the background score of the seed (bg_thr) is the one
with the best mIoU. Confident labels, as boundary networks (IRN) learn from
them, take the two thresholds that tell right labels of that seed from wrong
ones best, one for its foreground and one for its background: the largest
share of right labels kept minus share of wrong labels kept (Youden's index).
They lie on either side of bg_thr. Next to them stands the rule of thumb with
the distances of the LPCAM settings (bg_thr + 0.15, bg_thr - 0.05).

Refined maps (random walk): the background score of the mask with the best
mIoU.
"""
import argparse
import csv
import sys
from pathlib import Path

import numpy as np
from mmengine.config import Config
from prettytable import PrettyTable

from mmlpcam.engine import build_scored_dataset
from mmlpcam.evaluation import (ThresholdSweep, find_maps, load_scored_maps,
                                sweep_thresholds, threshold_grid)
from mmlpcam.utils import add_cfg_options, atomic_path, read_config, write_json
from mmlpcam.utils.parallel import track_on_terminal
from mmlpcam.utils.photos import write_picture
from mmlpcam.visualization import Curve, draw_curves

RULES = dict(
    bg_thr='highest mIoU',
    ir_fg_thr='share of right foreground kept - share of wrong is largest',
    ir_bg_thr='share of right background kept - share of wrong is largest')
LONG_GRID = 25  # thresholds; of more, only some are printed


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example, after configs/irn/deeplabv3_parts.py: '
        'tools/sweep_threshold.py configs/lpcam/cam_r18_parts.py '
        'work_dirs/deeplabv3_parts/maps')
    parser.add_argument(
        'config', help='config whose test_dataloader loads true masks')
    parser.add_argument(
        'map_dir',
        type=Path,
        help='folder of the stage, or maps/ or extra_maps/TYPE in it')
    parser.add_argument(
        '--out',
        type=Path,
        help='folder for sweep.csv, sweep.json and sweep.png (default: '
        'MAP_DIR)')
    parser.add_argument(
        '--thresholds',
        nargs=3,
        type=float,
        default=(0., 0.99, 0.01),
        metavar=('START', 'STOP', 'STEP'),
        help='grid of background scores (default: 0 0.99 0.01)')
    add_cfg_options(parser)
    return parser.parse_args()


def metric_settings(cfg: Config) -> dict:
    """Return the settings of the CAMIoUMetric of a config, if it has one."""
    evaluators = cfg.get('test_evaluator') or []
    if isinstance(evaluators, dict):
        evaluators = [evaluators]
    for evaluator in evaluators:
        if evaluator['type'] == 'CAMIoUMetric':
            return evaluator
    return {}


def names_of(sweep: ThresholdSweep) -> dict[str, str]:
    return dict(
        bg_thr='mask' if sweep.is_refined else 'seed',
        ir_fg_thr='IR foreground',
        ir_bg_thr='IR background')


def print_scores(sweep: ThresholdSweep) -> None:
    columns = sweep.columns()
    shown = ['threshold', *sweep.means]
    table = PrettyTable([*shown, ''])
    table.align = 'r'
    table.align[''] = 'l'
    notes = {}
    for name, index in sweep.suggest().items():
        notes.setdefault(index, []).append(names_of(sweep)[name])
    for index, threshold in enumerate(sweep.thresholds):
        is_step = np.isclose(threshold * 20, round(threshold * 20))
        if index in notes or is_step or len(sweep.thresholds) <= LONG_GRID:
            table.add_row([f'{columns[name][index]:.2f}' for name in shown] +
                          [', '.join(notes.get(index, []))])
    print(table)


def print_suggestions(sweep: ThresholdSweep, split: str) -> None:
    for name, index in sweep.suggest().items():
        threshold = sweep.thresholds[index]
        print(
            f'{names_of(sweep)[name]} threshold {threshold:.2f}: {RULES[name]}'
        )
        # nothing lies below 0
        if index == len(sweep.thresholds) - 1 or (index == 0
                                                  and threshold > 0):
            print('  It lies at the end of the grid: widen --thresholds.')
    if sweep.is_refined:
        print('For comparison: 0.35 in the LPCAM settings, 0.25 in those of '
              'IRN.')
    else:
        print_confident(sweep)
    print(f'Tuned with the masks of {split}, which image labels do not '
          'give:\na comparison of maps, but a fair setting only if these '
          'images are held out from\ntraining and from results.')


def print_confident(sweep: ThresholdSweep) -> None:
    table = PrettyTable(
        ['labels', 'thr', 'right', 'found', 'right kept', 'wrong kept'])
    table.align = 'r'
    table.align['labels'] = 'l'
    for name, kind, quality in (('ir_fg_thr', 'foreground', sweep.foreground),
                                ('ir_bg_thr', 'background', sweep.background)):
        shares = (quality.precision, quality.recall,
                  *(100 * kept for kept in quality.kept(sweep.best)))
        for title, index in ((f'{kind} of the seed', sweep.best),
                             (f'IR {kind}, suggested', sweep.suggest()[name]),
                             (f'IR {kind}, rule of thumb',
                              sweep.rule_of_thumb()[name])):
            table.add_row([title, f'{sweep.thresholds[index]:.2f}'] +
                          [f'{share[index]:.1f}' for share in shares])
    print(table)
    print('In percent of the pixels of all images, before any CRF. right: of '
          'these labels;\nfound: of the true pixels; kept: of the right and '
          'of the wrong labels of the seed.\n'
          'Rule of thumb: seed + 0.15 and - 0.05, as in the LPCAM settings '
          '(0.30: 0.45, 0.25);\nIRN has + 0.15 and - 0.10 (0.15: 0.30, '
          '0.05).')


def write_csv(sweep: ThresholdSweep, path: Path) -> None:
    columns = sweep.columns()
    with atomic_path(path) as tmp, open(tmp, 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(['' if np.isnan(value) else value for value in row]
                         for row in zip(*(column.tolist()
                                          for column in columns.values())))


def write_report(sweep: ThresholdSweep, path: Path, **origin: str) -> None:

    def values(indices: dict[str, int]) -> dict[str, float]:
        return {
            name: float(sweep.thresholds[index])
            for name, index in indices.items()
        }

    suggested = sweep.suggest()
    write_json(
        path,
        dict(
            **origin,
            tuned_on_split=True,
            num_images=sweep.num_images,
            refined=sweep.is_refined,
            suggested=values(suggested),
            rules={name: RULES[name]
                   for name in suggested},
            rule_of_thumb=values(sweep.rule_of_thumb()),
            # JSON knows no NaN
            grid={
                name: [None if np.isnan(value) else value for value in column]
                for name, column in sweep.columns().items()
            }))


def draw_sweep(sweep: ThresholdSweep, path: Path, split: str) -> None:
    panels = {
        'mean over classes (%)': [
            Curve(name, sweep.means[name], color=color)
            for color, name in enumerate(('mIoU', 'FP', 'FN'))
        ]
    }
    if not sweep.is_refined:
        panels['share of pixels (%)'] = [
            Curve(name, values, style, color)
            for kind, quality, color in (('foreground', sweep.foreground, 3),
                                         ('background', sweep.background, 5))
            for name, values, style in ((f'{kind} that is right',
                                         quality.precision, '-'),
                                        (f'{kind} that is found',
                                         quality.recall, '--'))
        ]
    kind = 'Refined' if sweep.is_refined else 'Classifier'
    picture = draw_curves(
        sweep.thresholds,
        panels, {
            names_of(sweep)[name]: float(sweep.thresholds[index])
            for name, index in sweep.suggest().items()
        },
        title=f'{kind} maps of {sweep.num_images} images, tuned on {split}',
        xlabel='background threshold')
    write_picture(path, picture)


def main() -> int:
    args = parse_args()
    out = args.out or args.map_dir
    try:
        cfg = read_config(args.config, args.cfg_options)
        settings = metric_settings(cfg)
        split = settings.get('split', f'the test_dataloader of {args.config}')
        dataset = build_scored_dataset(cfg)
        map_dir = find_maps(args.map_dir, dataset.image_ids)
        out.mkdir(parents=True, exist_ok=True)  # or fail before the pass
        sweep = sweep_thresholds(
            track_on_terminal((load_scored_maps(dataset,
                                                map_dir), len(dataset))),
            threshold_grid(*args.thresholds), len(dataset.metainfo['classes']),
            settings.get('ignore_index', 255))
    except (OSError, RuntimeError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    write_csv(sweep, out / 'sweep.csv')
    write_report(
        sweep,
        out / 'sweep.json',
        config=args.config,
        map_dir=str(args.map_dir),
        split=split)
    draw_sweep(sweep, out / 'sweep.png', split)
    print_scores(sweep)
    print_suggestions(sweep, split)
    print(f'written: {out / "sweep.csv"}, sweep.json and sweep.png')
    return 0


if __name__ == '__main__':
    sys.exit(main())
