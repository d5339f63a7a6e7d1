"""Train: all stages of a chain, or one model."""
import argparse

from mmseg.registry import RUNNERS

from mmlpcam.engine import (QuietRunner, Run, init_amp, init_distributed,
                            last_checkpoint, preflight, run_lock, use_amp)
from mmlpcam.utils import (parse_run_args, read_run_config, run_tool,
                           user_errors)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        epilog='example: tools/train.py configs/lpcam/deeplabv3_voc.py '
        '--work-dir work_dirs/voc --cfg-options randomness.seed=1')
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--work-dir',
        help='folder for logs, labels and models; work_dirs/<config name> '
        'where neither this nor the config names one')
    parser.add_argument(
        '--resume',
        action='store_true',
        help='resume from the latest checkpoint in the work dir; a chain of '
        'stages always does')
    parser.add_argument(
        '--amp',
        action='store_true',
        help='train with automatic mixed precision, in all stages')
    return parse_run_args(parser)


def main() -> None:
    args = parse_args()
    cfg = read_run_config(args)
    if args.amp:
        use_amp(cfg)
    cfg.resume = args.resume
    init_distributed(cfg)
    if cfg.get('runner_type') == 'StagedRunner':  # locks and checks itself
        RUNNERS.build(cfg).train()
        return
    with run_lock(cfg.work_dir):
        if args.resume:
            # a `load_from` of the config is what the training began with
            cfg.load_from = last_checkpoint(
                cfg.work_dir) or cfg.get('load_from')
        init_amp(cfg)
        with user_errors():
            preflight([Run('', 'train', cfg)])
        if 'runner_type' in cfg:
            runner = RUNNERS.build(cfg)
        else:
            runner = QuietRunner.from_cfg(cfg)
        runner.train()


if __name__ == '__main__':
    run_tool(main)
