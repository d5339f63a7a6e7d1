"""Run a tiny chain, as `tools/train.py` does; kill it where it is told to.

    python chain.py KIND DATA WORK_DIR [FAULT NUMBER]

KIND is one of CONFIGS. With FAULT the process kills itself the
NUMBER-th time that

- write: a checkpoint is opened for writing: half of one is left there;
- replace: a whole checkpoint is about to get its name;
- last: `last_checkpoint` is about to be written or to get its name;
- replaced: a checkpoint has just got its name.
"""
import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmseg.registry import RUNNERS
from PIL import Image

import mmlpcam  # noqa: F401, registers its components
from mmlpcam import config_path
from mmlpcam.converters.parts import PartsSettings, make_parts_dataset

BACKBONE = dict(stem_channels=8, base_channels=8)
CAM_HEAD = dict(
    in_channels=16,
    num_clusters=3,
    # large weights: maps exist although little is learned
    init_cfg=dict(type='Normal', std=1., override=dict(name='conv_seg')))
SHORT = dict(
    train_cfg=dict(max_epochs=2),
    train_dataloader=dict(batch_size=2),
    default_hooks=dict(checkpoint=dict(interval=1)))

CONFIGS = dict(
    staged='lpcam/deeplabv3_parts.py',
    irn='irn/deeplabv3_parts.py',
    joint='lpcam/deeplabv3_parts_joint.py',
    amn='amn/deeplabv3_parts.py',
    amn_lpcam='amn/deeplabv3_parts_amn-lpcam.py',
    recam='recam/deeplabv3_parts.py',
    mctformer='mctformer/deeplabv3_parts.py',
    psa='psa/deeplabv3_parts.py',
    edam='edam/deeplabv3_parts.py',
    par='par/deeplabv3_parts.py')
CLASSIFIER = dict(model=dict(backbone=BACKBONE, decode_head=CAM_HEAD))
TRANSFORMER = dict(
    model=dict(
        backbone=dict(embed_dims=16, depth=3, num_heads=2),
        decode_head=dict(in_channels=16, num_clusters=3)))
AMN = dict(model=dict(backbone=BACKBONE, decode_head=dict(in_channels=16)))
PAIRS = dict(
    model=dict(backbone=BACKBONE, decode_head=dict(in_channels=(8, 8, 16))))
# its two processes would take longer to start than all the rest
LABELER = dict(
    label_dataloader=dict(
        batch_size=2, num_workers=0, persistent_workers=False))
# what makes the network of a config small, by its name in `stage_configs`
SMALL = dict(
    classifier=CLASSIFIER,
    recam=CLASSIFIER,
    amn=AMN,
    irn=PAIRS,
    psa=PAIRS,
    ir_labels=LABELER,
    psa_labels=LABELER,
    saliency=LABELER,
    par=LABELER)


def make_data(folder: Path) -> None:
    """Make a tiny data set, with saliency maps."""
    make_parts_dataset(
        str(folder), PartsSettings(num_train=6, num_val=2, size=(64, 64)))
    make_saliency(folder)


def make_saliency(data: Path) -> None:
    """Write saliency maps for EDAM: where the true masks have an object."""
    (data / 'saliency').mkdir()
    for path in (data / 'SegmentationClass').iterdir():
        with Image.open(path) as mask:
            salient = np.asarray(mask) > 0
        Image.fromarray(salient.astype(np.uint8) * 200).save(
            data / 'saliency' / path.name)


def make_cfg(kind: str, work_dir: str) -> Config:
    """Return the config of the generated data set, shrunk to seconds."""
    cfg = Config.fromfile(str(config_path(CONFIGS[kind])))
    small = SMALL if kind != 'mctformer' else {
        **SMALL, 'classifier': TRANSFORMER
    }
    segmentor = dict(
        backbone=BACKBONE, decode_head=dict(in_channels=32, channels=8))
    changes = dict(model=segmentor, **SHORT)
    if kind == 'joint':
        segmentor['auxiliary_head'] = CAM_HEAD
        changes['train_cfg'] = dict(max_epochs=4, val_interval=4)
        for hook in cfg.custom_hooks:
            if hook.type == 'PrototypeBankHook':
                hook.update(begin=1, interval=1)
    else:
        changes['stages'] = {
            name:
            dict(small[stage.config],
                 **(SHORT if stage.task == 'train' else {}))
            for name, stage in cfg.stages.items() if stage.task != 'score'
        }
    cfg.merge_from_dict(changes)
    cfg.work_dir = work_dir
    cfg.resume = kind == 'joint'
    return cfg


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def watch(fault: str, number: int) -> None:
    """Die at the n-th event of a kind, whichever function leads to it."""
    left = [number]

    def hit() -> bool:
        left[0] -= 1
        return left[0] == 0

    def is_named(path: object, *words: str) -> bool:
        return isinstance(path, str | os.PathLike) and any(
            word in Path(path).name for word in words)

    save, replace = torch.save, os.replace

    def save_and_die(content, file, *args, **kwargs):
        if not (fault == 'write' and hit()):
            return save(content, file, *args, **kwargs)
        save(content, file, *args, **kwargs)
        if isinstance(file, str | os.PathLike):
            os.truncate(file, os.path.getsize(file) // 2)
        else:
            file.truncate(file.tell() // 2)
            if hasattr(file, 'flush'):
                file.flush()
        die()

    def audit(event: str, args: tuple) -> None:
        if event == 'os.rename':
            if (fault == 'replace' and is_named(args[1], '.pth')
                    or fault == 'last'
                    and is_named(args[1], 'last_checkpoint')) and hit():
                die()
        elif (fault == 'last' and event == 'open' and args[1] == 'w'
              and is_named(args[0], 'last_checkpoint') and hit()):
            die()

    def replace_and_die(source, target, *args, **kwargs):
        replace(source, target, *args, **kwargs)
        if fault == 'replaced' and is_named(target, '.pth') and hit():
            die()

    torch.save, os.replace = save_and_die, replace_and_die
    sys.addaudithook(audit)


def main() -> None:
    kind, data, work_dir, *fault = sys.argv[1:]
    torch.set_num_threads(1)
    os.environ['PARTS_DATASET'] = data
    os.environ['SALIENCY'] = str(Path(data, 'saliency'))
    # formatting it takes longer than the training
    Config.pretty_text = ''
    if fault:
        watch(fault[0], int(fault[1]))
    runner = RUNNERS.build(make_cfg(kind, work_dir))
    runner.train()


if __name__ == '__main__':
    main()
