"""What a training has left behind."""
import os
from pathlib import Path

from mmcv.transforms import Compose
from mmengine.config import Config

from mmlpcam.engine import last_checkpoint


def find_checkpoint(path: str | os.PathLike) -> str:
    """Return a checkpoint, or the last one of a run.

    Args:
        path (str | os.PathLike): Checkpoint, or the work dir of a stage.

    Returns:
        str: File name.

    Raises:
        FileNotFoundError: If the folder of a run holds none.
        ValueError: If those of a run are damaged.
    """
    found = last_checkpoint(path) if Path(path).is_dir() else str(path)
    if found is None:
        raise FileNotFoundError(
            f'{path} holds no last_checkpoint: give the folder of a stage '
            'that has trained, such as <work dir>/segmentor, or a file')
    return found


def photo_pipeline(cfg: Config) -> Compose:
    """Build the transforms of a config that turn pixels into model input.

    The first one, which loads the photo, is left to who has the pixels, and
    so are annotations.

    Args:
        cfg (Config): Config of a model, with a ``test_pipeline``.

    Returns:
        Compose: Takes ``dict(img=pixels)``, (H, W, 3) uint8 BGR.

    Raises:
        ValueError: If there is no ``test_pipeline``, or it cannot be built.
    """
    if 'test_pipeline' not in cfg:
        raise ValueError(f'{cfg.filename} has no `test_pipeline`, which says '
                         'how photos are loaded')
    rest = [
        step for step in cfg.test_pipeline[1:]
        if step['type'] != 'LoadAnnotations'
    ]
    try:
        return Compose([dict(type='LoadImageFromNDArray'), *rest])
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f'{cfg.filename}: test_pipeline: {error}') from error
