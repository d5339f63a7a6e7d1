"""Test: score a checkpoint, or draw its predictions."""
import argparse
from pathlib import Path

from mmengine.runner import Runner

from mmlpcam.engine import check_datasets, drop_training, init_distributed
from mmlpcam.utils import (parse_run_args, read_run_config, run_tool,
                           user_errors)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        epilog='example, the table of CAM, LPCAM-F and LPCAM: tools/test.py '
        'configs/lpcam/cam_r50_voc.py work_dirs/voc/classifier/epoch_5.pth')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--work-dir',
        help='folder for logs and metrics; work_dirs/<config name> where '
        'neither this nor the config names one')
    parser.add_argument(
        '--out', help='folder for the predicted masks: masks/ and a manifest')
    parser.add_argument(
        '--show', action='store_true', help='show predictions in a window')
    parser.add_argument('--show-dir', help='folder for drawn predictions')
    parser.add_argument(
        '--wait-time',
        type=float,
        default=2,
        help='seconds between shown predictions')
    parser.add_argument(
        '--tta',
        action='store_true',
        help='test-time augmentation of segmentors; CAMSegmentor has its own')
    return parse_run_args(parser)


def main() -> None:
    args = parse_args()
    cfg = read_run_config(args)
    cfg.load_from = args.checkpoint
    cfg.resume = False
    if args.show or args.show_dir:
        cfg.default_hooks.visualization.update(
            draw=True, show=args.show, wait_time=args.wait_time)
        if args.show_dir:
            cfg.visualizer.save_dir = args.show_dir
    if not cfg.get('test_dataloader'):
        raise SystemExit(
            f'{args.config} has no test_dataloader: there are no true masks '
            'to score with. tools/predict.py draws predictions without; '
            'new_project --masks makes a project with scores')
    if args.tta:
        if 'tta_model' not in cfg:
            raise SystemExit(
                f'{args.config} has no tta_model. For a segmentor, add '
                "__import__('mmlpcam').config_path('_base_/tta_crf.py') to "
                'the list _base_ of the config; the scales of maps are in '
                'model.test_cfg instead')
        cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
        cfg.model = dict(**cfg.tta_model, module=cfg.model)
    if args.out:
        check_no_labels(args.out)
        cfg.test_dataloader.dataset = dict(  # which gives images their ids
            type='SegDatasetWrapper',
            dataset=cfg.test_dataloader.dataset)
        cfg.test_evaluator = _as_list(cfg.test_evaluator) + [
            dict(type='PseudoLabelWriter', out_dir=args.out)
        ]
    drop_training(cfg)
    init_distributed(cfg)
    with user_errors():
        check_datasets(cfg, ('test', ))
    Runner.from_cfg(cfg).test()


def check_no_labels(out: str) -> None:
    """Refuse a folder with masks, which would be mixed with the new ones."""
    for name in ('masks', 'manifest.json'):
        if Path(out, name).exists():
            raise SystemExit(
                f'{out} holds {name} already, maybe of another model: choose '
                'another folder for --out, or remove this one')


def _as_list(evaluator: dict | list) -> list:
    return evaluator if isinstance(evaluator, list) else [evaluator]


if __name__ == '__main__':
    run_tool(main)
