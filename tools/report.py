"""Report on a chain or a joint run: its scores, and a picture of its steps.

It may still be running: steps that are not there yet are left out, and so is
what needs true masks where there are none.
"""
import argparse
import copy
import json
import sys
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from mmseg.apis import inference_model
from mmseg.registry import DATASETS
from mmseg.structures import SegDataSample
from prettytable import PrettyTable
from torch.utils.data import Dataset

from mmlpcam.engine import (Stage, StagedRunner, init_trained_model,
                            last_checkpoint)
from mmlpcam.evaluation import image_label_table
from mmlpcam.models import CAMSegmentor, find_map_head
from mmlpcam.structures import find_map_type, map_title, sort_map_types
from mmlpcam.utils import read_json, reading
from mmlpcam.utils.masks import read_index_mask
from mmlpcam.utils.photos import read_photo, write_picture
from mmlpcam.visualization import draw_legend, draw_map, draw_mask, draw_panel


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
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='the overrides that the chain was trained with')
    return parser.parse_args()


def stages_of(config: Config, work_dir: Path) -> list[Stage]:
    """Return the stages of a chain, in their order; of a joint run, none."""
    config.work_dir = str(work_dir)
    return StagedRunner(config).stages if config.get('stages') else []


def print_scores(work_dir: Path, stages: list[Stage]) -> None:
    table = PrettyTable(['what', 'mIoU', 'FP', 'FN', 'bg_thr'])
    for stage in stages:
        folder = Path(stage.work_dir)
        if (folder / 'tag_scores.json').exists():
            print_tag_scores(folder / 'tag_scores.json')
        if (folder / 'scores.json').exists():
            add_map_scores(table, folder / 'scores.json', stage.title)
        elif is_finished(folder):
            metrics = read_json(folder / 'stage.json')['metrics']
            add_validation(table, stage.title, metrics.get('mIoU'))
    if not stages:
        add_validation(table, 'segmentor', last_validation(work_dir))
    print(table if table.rows else 'no scores (yet): they need true masks')


def print_tag_scores(scores_file: Path) -> None:
    scores = read_json(scores_file)
    with reading(scores_file, 'file of scores', 'remove it'):
        print('the classifier on photos that it has not seen, by their tags:')
        print(image_label_table(scores))


def add_map_scores(table: PrettyTable, scores_file: Path, title: str) -> None:
    scores = read_json(scores_file)
    with reading(scores_file, 'file of scores', 'remove it'):
        for map_type in sort_map_types(set(scores['maps'])):
            row = scores['maps'][map_type]
            table.add_row([
                f'{map_title(map_type)} {title}, '
                f'{scores["split"]}', row['mIoU'], row['FP'], row['FN'],
                row['bg_thr']
            ])


def add_validation(table: PrettyTable, title: str,
                   score: float | None) -> None:
    if score is not None:  # it was validated
        table.add_row(
            [f'{title}, validation split', f'{score:.2f}', '', '', ''])


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


@torch.no_grad()
def draw(config: Config, work_dir: Path, num_images: int,
         bg_thrs: list[float]) -> tuple[np.ndarray, list[str]]:
    """Panel with one row per image, and what is wrong with the others."""
    stages = stages_of(config, work_dir)
    if stages:
        cfg = chain_maps(stages)
        segmentor_dir = Path(stages[-1].work_dir)
        made = [(stage.title, Path(stage.work_dir) / 'masks')
                for stage in stages
                if stage.writes_masks and is_finished(Path(stage.work_dir))]
    else:
        cfg = joint_maps(config, work_dir)
        segmentor_dir = work_dir
        made = [('pseudo label', work_dir / 'labels/masks')]
    classifier = init_trained_model(cfg, cfg.load_from, 'cpu')
    kinds = shown_maps(classifier)
    photos = build_dataset(cfg.label_dataloader)
    masks = true_masks(stages)
    shown = choose(photos, masks, num_images)
    palette = photos.metainfo['palette']
    checkpoint = last_checkpoint(segmentor_dir)
    segmentor = init_trained_model(config, checkpoint,
                                   'cpu') if checkpoint else None

    def draw_cells(index: int) -> list[tuple[str, np.ndarray]]:
        name = photos.image_ids[index]
        photo = read_photo(photos.get_data_info(index)['img_path'])
        maps = classifier.test_step(pseudo_collate([photos[index]]))[0]
        image = photo[..., ::-1]
        cells = [('image', image),
                 *((map_title(kind),
                    draw_map(image,
                             maps.activation.get(kind).amax(0).numpy()))
                   for kind in kinds)]

        def add_mask(title: str, mask: np.ndarray) -> None:
            cells.append((title, draw_mask(image, mask, palette)))

        for bg_thr in bg_thrs:
            add_mask(f'{map_title(kinds[-1])}, bg_thr={bg_thr:g}',
                     mask_of(maps, kinds[-1], bg_thr))
        for title, folder in made:
            add_mask(title, read_index_mask(folder / f'{name}.png'))
        if segmentor is not None:
            found = inference_model(segmentor, photo)
            add_mask('prediction', found.pred_sem_seg.data[0].numpy())
        if name in masks:
            add_mask('ground truth', read_index_mask(masks[name]))
        elif masks:
            cells.append(('ground truth', np.full_like(image, 255)))
        return cells

    rows, failed = [], []
    for index in shown:
        try:
            cells = draw_cells(index)
        # one bad photo ends no report
        except (OSError, ValueError, RuntimeError) as error:
            failed.append(f'{photos.get_data_info(index)["img_path"]}: '
                          f'{error}')
            continue
        rows.append([picture for _, picture in cells])
    if not rows:
        raise ValueError('no photo could be drawn: ' + '; '.join(failed))
    panel = draw_panel(rows, [title for title, _ in cells])
    legend = draw_legend(photos.metainfo['classes'][1:], palette[1:],
                         panel.shape[1])
    return np.concatenate([panel, legend]), failed


def shown_maps(model: CAMSegmentor) -> list[str]:
    """Let a model make the maps to show, and return what they are called.

    They are those that tell foreground from context, where there are
    prototypes, and those of the masks.
    """
    head, chosen = find_map_head(model), model.test_cfg['map_type']
    split = getattr(head, 'split_map_type', chosen)
    if find_map_type(chosen).needs_bank and not head.bank.is_built:
        raise ValueError('the checkpoint has no prototypes yet: wait for the '
                         'next one')
    model.test_cfg['extra_map_types'] = (split, )
    return list(dict.fromkeys((split, chosen)))


def chain_maps(stages: list[Stage]) -> Config:
    """Return the config that makes the maps of a chain, with its checkpoint.

    Raises:
        ValueError: If no stage makes any.
    """
    maker = next((stage for stage in stages if stage.writes_masks), None)
    if maker is None:
        raise ValueError("no stage has task='label', which makes the maps and "
                         'masks to show')
    return maker.resolved_cfg()


def joint_maps(config: Config, work_dir: Path) -> Config:
    """Return a config that makes the maps of a joint run.

    Raises:
        ValueError: If it is no joint run, or has no labels yet.
    """
    hooks = [
        hook for hook in config.get('custom_hooks', [])
        if hook.type == 'PrototypeBankHook' and 'labels' in hook
    ]
    if not hooks:
        raise ValueError(f'{config.filename} has neither stages nor a '
                         'PrototypeBankHook with labels: there is nothing to '
                         'report')
    checkpoint = last_checkpoint(work_dir)
    if checkpoint is None or not (work_dir / 'labels/masks').exists():
        raise ValueError(f'{work_dir} holds no labels, or no checkpoint of '
                         'the time after: wait until the warm-up is over')
    cfg = copy.deepcopy(config)
    cfg.load_from = checkpoint
    cfg.model.type = 'CAMSegmentor'
    labels = hooks[0].labels
    cfg.model.test_cfg = dict(map_type=labels.get('map_type', 'lpcam'))
    cfg.label_dataloader = dict(dataset=labels.dataset)
    return cfg


def build_dataset(dataloader: dict) -> Dataset:
    """Build a dataset that does not mind bad files until they are drawn."""
    return DATASETS.build(
        dict(dataloader['dataset'], check_files=False, _scope_='mmseg'))


def true_masks(stages: list[Stage]) -> dict[str, str]:
    """Return the true mask of each image whose maps are scored, by its id."""
    found = {}
    for stage in stages:
        if stage.task == 'test' and not stage.writes_masks:
            scored = build_dataset(stage.cfg.test_dataloader)
            infos = map(scored.get_data_info, range(len(scored)))
            found.update((info['image_id'], info['seg_map_path'])
                         for info in infos
                         if {'image_id', 'seg_map_path'} <= info.keys())
    return found


def choose(photos: Dataset, masks: dict[str, str],
           num_images: int) -> list[int]:
    """Return a fixed sample of the images with a class, true masks first."""
    order = np.random.default_rng(0).permutation(len(photos)).tolist()
    shown = [i for i in order if photos.get_cat_ids(i)]
    shown.sort(key=lambda i: photos.image_ids[i] not in masks)
    return sorted(shown[:num_images])


def is_finished(stage_dir: Path) -> bool:
    state_file = stage_dir / 'stage.json'
    return state_file.exists() and read_json(state_file)['finished']


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
        panel, failed = draw(config, work_dir, args.num_images, args.bg_thr)
        write_picture(out, panel)
        print(f'picture: {out}')
        print_scores(work_dir, stages_of(config, work_dir))
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    for text in failed:
        print(f'error: not drawn: {text}', file=sys.stderr)
    return int(bool(failed))


if __name__ == '__main__':
    sys.exit(main())
