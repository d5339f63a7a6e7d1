"""Report on a chain or a joint run: its scores, and a picture of its steps.

With --html also a page for a browser, in one file without a network: photos,
the ones with the most doubtful masks first, maps, and masks at a threshold
that is moved there.

It may still be running: steps that are not there yet are left out, and so is
what needs true masks where there are none.
"""
import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmseg.structures import SegDataSample
from prettytable import PrettyTable
from torch.utils.data import Dataset

from mmlpcam.apis.run_contents import (PhotoContents, RunContents, is_finished,
                                       run_seconds)
from mmlpcam.engine import Stage
from mmlpcam.evaluation import mask_confidence
from mmlpcam.structures import map_title, sort_map_types
from mmlpcam.utils import read_json, reading
from mmlpcam.utils.photos import write_picture
from mmlpcam.visualization import (HTMLReport, ReportPhoto, draw_legend,
                                   draw_map, draw_mask, draw_panel)

_Made = TypeVar('_Made')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: tools/report.py configs/lpcam/deeplabv3_parts.py '
        '--work-dir work_dirs/demo')
    parser.add_argument('config', help='config file of the run')
    parser.add_argument(
        '--work-dir', required=True, help='work dir of the run')
    parser.add_argument(
        '--num-images',
        type=int,
        default=8,
        help='rows of the picture (default: 8)')
    parser.add_argument(
        '--bg-thr',
        type=float,
        nargs='+',
        default=[],
        help='show the masks of these maps at these background scores too, to '
        'choose one by eye')
    parser.add_argument(
        '--out', help='picture to write; <work-dir>/panel.png if not given')
    parser.add_argument(
        '--html',
        nargs='?',
        type=Path,
        const=Path(),
        help='write a page too; <work-dir>/report.html if no file is given')
    parser.add_argument(
        '--html-images',
        type=int,
        default=80,
        help='photos of the page (default: 80)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='the overrides that the chain was trained with')
    return parser.parse_args()


def print_scores(work_dir: Path, stages: list[Stage]) -> None:
    header, *rows = score_rows(work_dir, stages)
    table = PrettyTable(header)
    table.add_rows(rows)
    print(table if rows else 'no scores (yet): they need true masks')


def score_rows(work_dir: Path, stages: list[Stage]) -> list[list]:
    """Return a table of the scores, its header first."""
    rows: list[list] = [['what', 'mIoU', 'FP', 'FN', 'bg_thr']]
    for stage in stages:
        folder = Path(stage.work_dir)
        if (folder / 'scores.json').exists():
            rows += map_scores(folder / 'scores.json', stage.title)
        elif is_finished(folder):
            metrics = read_json(folder / 'stage.json')['metrics']
            rows += validation(stage.title, metrics.get('mIoU'))
    if not stages:
        rows += validation('segmentor', last_validation(work_dir))
    return rows


def map_scores(scores_file: Path, title: str) -> list[list]:
    scores = read_json(scores_file)
    with reading(scores_file, 'file of scores', 'remove it'):
        rows = []
        for map_type in sort_map_types(set(scores['maps'])):
            row = scores['maps'][map_type]
            rows.append([
                f'{map_title(map_type)} {title}, '
                f'{scores["split"]}', row['mIoU'], row['FP'], row['FN'],
                row['bg_thr']
            ])
    return rows


def validation(title: str, score: float | None) -> list[list]:
    if score is None:  # it was not validated
        return []
    return [[f'{title}, validation split', f'{score:.2f}', '', '', '']]


def last_validation(run_dir: Path) -> float | None:
    """Return the last mIoU in the logs of a run, if there is one."""
    found = None
    for log in sorted(run_dir.glob('*/vis_data/scalars.json')):
        with reading(log, 'log of scores', 'remove it'):
            lines = log.read_text(encoding='utf-8').splitlines(keepends=True)
            for line in lines:
                if line.endswith('\n'):  # or it is being written
                    found = _score(line, found)
    return found


def _score(line: str, default: float | None) -> float | None:
    """Return the mIoU in a line of a log, if there is one."""
    scores = json.loads(line)
    if not isinstance(scores, dict):
        raise ValueError(f'expected a JSON object a line, got {line!r}')
    score = scores.get('mIoU', default)
    return None if score is None else float(score)


def draw(run: RunContents, num_images: int,
         bg_thrs: list[float]) -> tuple[np.ndarray, list[str]]:
    """Panel with one row per image, and what is wrong with the others."""
    rows, failed = for_photos(run, num_images,
                              lambda photo: draw_cells(run, photo, bg_thrs))
    panel = draw_panel([[picture for _, picture in cells] for cells in rows],
                       [title for title, _ in rows[-1]])
    legend = draw_legend(run.classes[1:], run.palette[1:], panel.shape[1])
    return np.concatenate([panel, legend]), failed


def for_photos(
        run: RunContents, num_images: int,
        make: Callable[[PhotoContents],
                       _Made]) -> tuple[list[_Made], list[str]]:
    """Make something of the chosen photos; say what is wrong with others."""
    made, failed = [], []
    for index in choose(run.photos, run.truths, num_images):
        try:
            made.append(make(run.read(index)))
        # one bad photo ends no report
        except (OSError, ValueError, RuntimeError) as error:
            path = run.photos.get_data_info(index)['img_path']
            failed.append(f'{path}: {error}')
    if not made:
        raise ValueError('no photo could be drawn: ' + '; '.join(failed))
    return made, failed


def draw_cells(run: RunContents, photo: PhotoContents,
               bg_thrs: list[float]) -> list[tuple[str, np.ndarray]]:
    """Draw the pictures of a photo, with their titles."""
    image, chosen = photo.image, run.kinds[-1]
    cells = [('image', image)]
    for kind in run.kinds:
        score = photo.maps.activation.get(kind).amax(0).numpy()
        cells.append((map_title(kind), draw_map(image, score)))
    masks = {
        f'{map_title(chosen)}, bg_thr={bg_thr:g}':
        mask_of(photo.maps, chosen, bg_thr)
        for bg_thr in bg_thrs
    }
    masks.update(photo.made)
    if photo.truth is not None:
        masks['ground truth'] = photo.truth
    cells += [(title, draw_mask(image, mask, run.palette))
              for title, mask in masks.items()]
    if photo.truth is None and run.truths:
        cells.append(('ground truth', np.full_like(image, 255)))
    return cells


def write_html(run: RunContents, path: Path, num_images: int) -> list[str]:
    """Write the page, and return what is wrong with photos."""
    times = [['stage', 'minutes']]
    for stage in run.stages:
        seconds = run_seconds(Path(stage.work_dir))
        times.append([stage.title, f'{seconds / 60:.1f}'])
    if not run.stages:
        times.append(['all', f'{run_seconds(run.work_dir) / 60:.1f}'])
    scores = score_rows(run.work_dir, run.stages)
    report = HTMLReport(
        title=str(run.config.filename),
        classes=run.classes,
        palette=run.palette,
        map_type=run.kinds[-1],
        notes=[
            f'Work dir: {run.work_dir}',
            f'{len(run.photos)} photos get masks; up to {num_images} of them '
            'are shown, the least certain masks first.'
        ],
        tables=[[[str(cell) for cell in row] for row in table]
                for table in (scores, times)],
        settings=run.config.pretty_text)
    used = []

    def add(photo: PhotoContents) -> None:
        report.add(report_photo(run, photo))
        used.append(photo.maps.bg_thr)

    _, failed = for_photos(run, num_images, add)
    if used:  # one and the same, unless it is one of each image
        report.bg_thr = float(np.median(used))
    report.write(path)
    return failed


def report_photo(run: RunContents, photo: PhotoContents) -> ReportPhoto:
    masks = dict(photo.made)
    if photo.truth is not None:
        masks['ground truth'] = photo.truth
    return ReportPhoto(
        photo.name,
        tuple(photo.maps.img_labels),
        photo.image,
        maps={
            kind: photo.maps.activation.get(kind).numpy()
            for kind in run.kinds
        },
        masks=masks,
        confidence=mask_confidence(photo.maps.scale_maps, photo.maps.bg_thr))


def choose(photos: Dataset, masks: dict[str, str],
           num_images: int) -> list[int]:
    """Return a fixed sample of the images with a class, true masks first."""
    order = np.random.default_rng(0).permutation(len(photos)).tolist()
    shown = [i for i in order if photos.get_cat_ids(i)]
    shown.sort(key=lambda i: photos.image_ids[i] not in masks)
    return sorted(shown[:num_images])


def mask_of(maps: SegDataSample, kind: str, bg_thr: float) -> np.ndarray:
    """Return the mask (H, W) that maps give at a background score."""
    score, winner = maps.activation.get(kind).max(0)
    values = torch.tensor(maps.img_labels) + 1
    return torch.where(score > bg_thr, values[winner], 0).numpy()


def main() -> int:
    args = parse_args()
    config = Config.fromfile(args.config)
    if args.cfg_options is not None:
        config.merge_from_dict(args.cfg_options)
    work_dir = Path(args.work_dir)
    out = Path(args.out or work_dir / 'panel.png')
    try:
        run = RunContents(config, work_dir)
        panel, failed = draw(run, args.num_images, args.bg_thr)
        write_picture(out, panel)
        print(f'picture: {out}')
        if args.html is not None:
            page = work_dir / 'report.html' if args.html == Path(
            ) else args.html
            failed += write_html(run, page, args.html_images)
            print(f'page: {page}')
        print_scores(work_dir, run.stages)
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    for text in dict.fromkeys(failed):
        print(f'error: not drawn: {text}', file=sys.stderr)
    return int(bool(failed))


if __name__ == '__main__':
    sys.exit(main())
