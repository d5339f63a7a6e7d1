"""Report on a finished chain: its scores, and a picture of its steps."""
import argparse
from pathlib import Path

import mmcv
import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from mmseg.registry import DATASETS, MODELS
from prettytable import PrettyTable

from mmlpcam.engine import StagedRunner, last_checkpoint
from mmlpcam.evaluation import MAP_NAMES
from mmlpcam.utils import read_json
from mmlpcam.utils.masks import read_index_mask
from mmlpcam.visualization import draw_map, draw_mask, draw_panel

# stages that write labels, in the order of the chain, and their titles
LABEL_STAGES = dict(
    maps='seed', ir_labels='confident label', labels='pseudo label')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        epilog='example: tools/report.py configs/lpcam/deeplabv3_parts.py '
        '--work-dir work_dirs/demo')
    parser.add_argument('config', help='config file of the chain')
    parser.add_argument(
        '--work-dir', required=True, help='work dir of the finished chain')
    parser.add_argument(
        '--num-images', type=int, default=8, help='rows of the picture')
    parser.add_argument(
        '--out', help='picture to write; <work-dir>/panel.png if not given')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='the overrides that the chain was trained with')
    return parser.parse_args()


def print_scores(work_dir: Path) -> None:
    table = PrettyTable(['what', 'mIoU', 'FP', 'FN', 'bg_thr'])
    for stage in ('seed', 'refined'):
        scores_file = work_dir / stage / 'scores.json'
        if not scores_file.exists():  # a chain without refinement
            continue
        scores = read_json(scores_file)
        for map_type, name in MAP_NAMES.items():
            if map_type in scores['maps']:
                row = scores['maps'][map_type]
                table.add_row([
                    f'{name} {stage}, {scores["split"]}', row['mIoU'],
                    row['FP'], row['FN'], row['bg_thr']
                ])
    metrics = read_json(work_dir / 'segmentor' / 'stage.json')['metrics']
    table.add_row(
        ['segmentor, validation split', f'{metrics["mIoU"]:.2f}', '', '', ''])
    print(table)


@torch.no_grad()
def draw(config: Config, work_dir: Path, num_images: int) -> np.ndarray:
    """Panel with one row per image."""
    config.work_dir = str(work_dir)
    stages = {stage.name: stage for stage in StagedRunner(config).stages}
    seed = stages['seed'].resolved_cfg()
    classifier = build(seed, seed.load_from)
    segmentor = build(config, last_checkpoint(work_dir / 'segmentor'))
    photos = DATASETS.build(
        dict(seed.test_dataloader.dataset, _scope_='mmseg'))
    pipeline = DATASETS.build(
        dict(config.val_dataloader.dataset, _scope_='mmseg')).pipeline
    palette = photos.metainfo['palette']
    # a fixed sample of the images with something to see
    shown = [
        index for index in range(len(photos))
        if photos.get_data_info(index)['img_labels']
    ]
    rng = np.random.default_rng(0)
    shown = sorted(
        rng.choice(shown, min(num_images, len(shown)), replace=False))
    rows = []
    for index in shown:
        info = photos.get_data_info(index)
        maps = classifier.test_step(pseudo_collate([photos[index]]))[0]
        prediction = segmentor.test_step(
            pseudo_collate([pipeline(dict(info))]))[0]
        image = mmcv.imread(info['img_path'], channel_order='rgb')
        cells = {
            'image': image,
            'CAM': draw_map(image,
                            maps.activation.cam.amax(0).numpy()),
            'LPCAM': draw_map(image,
                              maps.activation.lpcam.amax(0).numpy()),
        }
        for stage, title in LABEL_STAGES.items():
            if stage in stages:
                mask = read_index_mask(work_dir / stage / 'masks' /
                                       f'{info["image_id"]}.png')
                cells[title] = draw_mask(image, mask, palette)
        cells['prediction'] = draw_mask(
            image, prediction.pred_sem_seg.data[0].numpy(), palette)
        cells['ground truth'] = draw_mask(image,
                                          maps.gt_sem_seg.data[0].numpy(),
                                          palette)
        rows.append(list(cells.values()))
    return draw_panel(rows, list(cells))


def build(cfg: Config, checkpoint: str) -> torch.nn.Module:
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    load_checkpoint(model, checkpoint, map_location='cpu')
    return revert_sync_batchnorm(model).eval()


def main() -> None:
    args = parse_args()
    config = Config.fromfile(args.config)
    if args.cfg_options is not None:
        config.merge_from_dict(args.cfg_options)
    work_dir = Path(args.work_dir)
    out = Path(args.out or work_dir / 'panel.png')
    panel = draw(config, work_dir, args.num_images)
    mmcv.imwrite(panel[..., ::-1], str(out))
    print_scores(work_dir)
    print(f'picture: {out}')


if __name__ == '__main__':
    main()
