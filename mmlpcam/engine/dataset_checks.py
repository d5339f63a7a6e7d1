"""Checks of all data of a run before it starts."""
import copy
from collections.abc import Sequence

from mmengine.config import Config
from mmseg.registry import DATASETS

from mmlpcam.datasets import SegDatasetWrapper, check_files


def check_datasets(cfg: Config, splits: Sequence[str]) -> None:
    """Check all files that the datasets of a config will load.

    Every process checks all of them, so that all stop where one would.

    Args:
        cfg (Config): Config of a run.
        splits (Sequence[str]): Names such as 'train'; those without a
            dataloader are left out.

    Raises:
        FileNotFoundError: Files do not exist.
        ValueError: Files are not readable, or a mask does not fit.
    """
    for split in splits:
        loader = cfg.get(f'{split}_dataloader')
        if loader:
            # pipelines are built from the default scope
            check_files(
                DATASETS.build(
                    dict(
                        copy.deepcopy(loader['dataset']),
                        _scope_=cfg.get('default_scope', 'mmseg'))))


def build_scored_dataset(cfg: Config) -> SegDatasetWrapper:
    """Build the dataset of a config that loads true masks.

    Args:
        cfg (Config): Config with a ``test_dataloader``.

    Returns:
        SegDatasetWrapper: Its dataset, whose files are there.

    Raises:
        ValueError: If there is no such loader, or the data do not fit.
        FileNotFoundError: If files are missing.
    """
    if 'test_dataloader' not in cfg:
        raise ValueError(f'{cfg.filename} has no test_dataloader, whose '
                         'dataset would load the true masks')
    # pipelines are built from the default scope
    dataset = DATASETS.build(
        dict(cfg.test_dataloader.dataset, _scope_='mmseg'))
    if not isinstance(dataset, SegDatasetWrapper):
        dataset = SegDatasetWrapper(dataset)
    check_files(dataset)
    return dataset
