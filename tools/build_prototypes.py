"""Build the prototype bank of a trained classifier anew.

Clusters and selects with the PrototypeBankHook settings of the config, and
writes a checkpoint with the same weights and the new bank: a change of K, of
the thresholds or of the images needs no new training.
"""
import argparse
import os

from mmengine.dist import is_main_process
from mmengine.runner import Runner
from mmengine.runner.checkpoint import get_state_dict
from mmseg.registry import HOOKS

from mmlpcam.engine import find_bank_hook, init_distributed, load_weights
from mmlpcam.utils import (check_writable, parse_run_args, read_run_config,
                           run_tool, user_errors, write_checkpoint)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: tools/build_prototypes.py '
        'configs/lpcam/cam_r50_voc.py epoch_5.pth new_bank.pth '
        '--cfg-options custom_hooks.0.mu_f=0.8')
    parser.add_argument('config', help='config file of the classifier')
    parser.add_argument('checkpoint', help='checkpoint of the classifier')
    parser.add_argument('out', help='checkpoint to write')
    return parse_run_args(parser)


def main() -> None:
    args = parse_args()
    out_dir = os.path.dirname(os.path.abspath(args.out))
    check_writable(out_dir)
    cfg = read_run_config(args)
    with user_errors():
        hook = find_bank_hook(cfg)
    init_distributed(cfg)
    runner = Runner(
        model=cfg.model,
        work_dir=os.path.join(out_dir, 'logs'),
        launcher=cfg.launcher,
        env_cfg=cfg.env_cfg,
        default_scope=cfg.default_scope,
        randomness=cfg.get('randomness', dict(seed=None)),
        experiment_name='build_prototypes',
        cfg=dict(model_wrapper_cfg=cfg.get('model_wrapper_cfg')))
    # another number of clusters than it was saved with is what one comes for
    with user_errors():
        meta = load_weights(
            runner.model, args.checkpoint, bank=False).get('meta')
    HOOKS.build(hook).build(runner)
    if is_main_process():
        write_checkpoint(
            dict(meta=meta or {}, state_dict=get_state_dict(runner.model)),
            args.out)
        runner.logger.info(f'written: {args.out}')


if __name__ == '__main__':
    run_tool(main)
