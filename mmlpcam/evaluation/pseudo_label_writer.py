"""Masks and maps on disk."""
import json
import logging
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import barrier, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmseg.registry import METRICS

from mmlpcam.models import check_bg_thr
from mmlpcam.ops import AutoThreshold
from mmlpcam.structures import ActivationMaps
from mmlpcam.utils import check_writable, is_whole, read_json, write_json
from mmlpcam.utils.masks import write_index_mask
from mmlpcam.utils.names import check_inside

# images whose files wait: what memory they take is bounded
_MAX_PENDING = 32


@METRICS.register_module()
class PseudoLabelWriter(BaseMetric):
    """Write the predicted mask of each image while a test loop runs.

    ``out_dir/masks/<image id>.png`` holds class indices (uint8, 0 is the
    background) with the palette of the dataset;
    ``out_dir/maps/<image id>.npz``, where asked for, holds the maps behind
    the mask, see :class:`~mmlpcam.structures.ActivationMaps`, and
    ``out_dir/extra_maps/<map type>/<image id>.npz`` those of other map types;
    ``out_dir/manifest.json`` says how they were made and whether all are
    there. The image id is the path of the image below its folder, without
    extension.

    Files appear whole or not at all, so a killed run leaves a usable folder.
    With :class:`~mmlpcam.engine.PseudoLabelLoop` a second run makes only
    what is missing, and refuses a folder that was made with other settings.

    Args:
        out_dir (str): Folder of the labels.
        save_maps (bool): Whether to write the maps too. Defaults to False.
        extra_map_types (Sequence[str]): Further map types to write, of those
            that the model predicts (``extra_map_types`` of its ``test_cfg``).
            Defaults to ().
        num_writers (int): Threads that write while a model on a GPU goes on.
            Defaults to 0: files are written at once, as is best where the
            model needs all cores.
        collect_device (str): 'cpu' or 'gpu'. Defaults to 'cpu'.
        prefix (str, optional): Prefix of the metric names. Defaults to None.

    Raises:
        PermissionError: If the folder cannot be written to.
        ValueError: If there are `extra_map_types` without `save_maps`, or
            `num_writers` is below 0.
    """
    default_prefix = 'labels'

    def __init__(self,
                 out_dir: str,
                 save_maps: bool = False,
                 extra_map_types: Sequence[str] = (),
                 num_writers: int = 0,
                 collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if extra_map_types and not save_maps:
            raise ValueError('`extra_map_types` are written beside those of '
                             'the mask: set save_maps=True')
        if num_writers < 0:
            raise ValueError('`num_writers` must be at least 0, but is '
                             f'{num_writers}')
        self.num_writers = num_writers
        self.out_dir = Path(out_dir)
        self.save_maps = save_maps
        self.extra_map_types = tuple(extra_map_types)
        self.settings: dict = {}
        self.image_ids: list[str] = []
        self._writers: ThreadPoolExecutor | None = None
        self._pending: deque[Future] = deque()
        check_writable(self.out_dir)

    @property
    def manifest_file(self) -> Path:
        """Path: Where the manifest lies."""
        return self.out_dir / 'manifest.json'

    def open(self, settings: dict, image_ids: Sequence[str] = ()) -> None:
        """Start or continue a folder.

        Args:
            settings (dict): JSON-serialisable description of what decides
                the files, such as a digest of the model.
            image_ids (Sequence[str]): All images that are to have labels,
                also those that have them already. Defaults to (): those of
                the run.

        Raises:
            RuntimeError: If the folder was made with other settings.
            ValueError: If its manifest is not as this class writes it.
        """
        self.image_ids = list(dict.fromkeys(image_ids))
        # as they will be read back: JSON has no tuples
        self.settings = json.loads(
            json.dumps({
                **settings, 'save_maps': self.save_maps,
                'extra_map_types': self.extra_map_types
            }))
        # on all ranks: if one alone failed, the others would wait for it
        if self.manifest_file.exists():
            check_same_settings(self.out_dir,
                                read_manifest(self.manifest_file)['settings'],
                                self.settings)
        barrier()
        if is_main_process():
            # what a killed run was writing
            for leftover in self.out_dir.rglob('.tmp-*'):
                leftover.unlink()
            self._write_manifest(complete=False)
        barrier()

    def typical_threshold(self, model: str) -> float | None:
        """Read the typical threshold of labels that are there already.

        Args:
            model (str): Digest of the model that makes the labels.

        Returns:
            float, optional: That of their ``bg_thr``, in [0, 1]; None where
            there are no labels of this model, or with another threshold.

        Raises:
            ValueError: If the manifest is not as this class writes it, or
                names no ``bg_thr`` of the labels of this model.
        """
        if not self.manifest_file.exists():
            return None
        settings = read_manifest(self.manifest_file)['settings']
        if settings.get('model') != model:
            return None
        bg_thr = read_bg_thr(self.manifest_file)
        return AutoThreshold.parse(bg_thr).typical if isinstance(bg_thr,
                                                                 str) else None

    def is_written(self, image_id: str) -> bool:
        """Whether all files of an image are there and not cut.

        Args:
            image_id (str): Path below the image folder without extension.

        Returns:
            bool: Whether they are.
        """
        return is_labeled(self.out_dir, image_id, self.save_maps,
                          self.extra_map_types)

    def missing(self) -> list[str]:
        """Return the images that :meth:`open` was told of and lack a file.

        Returns:
            list[str]: Their ids.
        """
        return [i for i in self.image_ids if not self.is_written(i)]

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Write the files of a batch.

        Args:
            data_batch (Any): Not needed.
            data_samples (Sequence[dict]): Predictions with ``image_id`` (or
                else ``img_path``) and ``pred_sem_seg``, and, for maps,
                ``scale_maps`` and ``extra_maps``.

        Raises:
            KeyError: If one of ``extra_map_types`` was not predicted.
        """
        for sample in data_samples:
            # only the wrappers of this package know the image folder
            image_id = (
                sample['image_id']
                if 'image_id' in sample else Path(sample['img_path']).stem)
            mask_file, *map_files = _label_files(self.out_dir, image_id,
                                                 self.save_maps,
                                                 self.extra_map_types)
            maps = [sample['scale_maps']] if self.save_maps else []
            for name in self.extra_map_types:
                if name not in sample['extra_maps']:
                    raise KeyError(f'the model predicts no {name!r} maps: add '
                                   'them to model.test_cfg.extra_map_types')
                maps.append(sample['extra_maps'][name])
            mask = sample['pred_sem_seg']['data'][0].cpu().numpy()
            write = partial(self._write, mask_file, mask,
                            [each.cpu() for each in maps], map_files)
            if self.num_writers:
                self._write_later(write)
            else:
                write()
            self.results.append(image_id)

    def evaluate(self, size: int) -> dict:
        """Wait until all is written, and complete the manifest.

        Args:
            size (int): Length of the dataset.

        Returns:
            dict: Of :meth:`compute_metrics`, with the prefix.

        Raises:
            OSError: If a file could not be written.
        """
        if self._writers is not None:
            with self._writers:  # its threads end, before others are forked
                while self._pending:
                    self._pending.popleft().result()
            self._writers = None
        return super().evaluate(size)

    def compute_metrics(self, results: list) -> dict[str, int]:
        """Complete the manifest, if all labels are there indeed.

        Args:
            results (list): Ids of the images written in this run.

        Returns:
            dict[str, int]: 'written', the images written in this run.
        """
        self.image_ids = self.image_ids or list(dict.fromkeys(results))
        self._write_manifest(complete=not self.missing())
        print_log(
            f'{len(set(results))} masks written to {self.out_dir / "masks"}',
            logger='current',
            level=logging.INFO)
        return dict(written=len(set(results)))

    def _write(self, mask_file: Path, mask: np.ndarray,
               maps: list[ActivationMaps], map_files: list[Path]) -> None:
        for each, map_file in zip(maps, map_files):
            each.save(map_file)
        write_index_mask(mask_file, mask, self.dataset_meta['palette'])

    def _write_later(self, write: Callable[[], None]) -> None:
        """Write the files of an image while the model goes on."""
        if self._writers is None:
            self._writers = ThreadPoolExecutor(self.num_writers)
        self._pending.append(self._writers.submit(write))
        while len(
                self._pending) > _MAX_PENDING or (self._pending
                                                  and self._pending[0].done()):
            self._pending.popleft().result()

    def _write_manifest(self, complete: bool) -> None:
        masks = self.out_dir / 'masks'
        write_json(
            self.manifest_file,
            dict(
                complete=complete,
                settings=self.settings,
                classes=list(self.dataset_meta['classes']),
                num_masks=sum(1 for _ in masks.rglob('*.png'))))


def is_labeled(out_dir: str | os.PathLike,
               image_id: str,
               with_maps: bool,
               extra_map_types: Sequence[str] = ()) -> bool:
    """Whether a folder of labels holds those of an image, and not cut.

    Args:
        out_dir (str | os.PathLike): What a :class:`PseudoLabelWriter` leaves.
        image_id (str): Path below the image folder without extension.
        with_maps (bool): Whether the maps belong to them.
        extra_map_types (Sequence[str]): Further map types that do. Defaults
            to ().

    Returns:
        bool: Whether all of them are there.
    """
    files = _label_files(Path(out_dir), image_id, with_maps, extra_map_types)
    return all(map(is_whole, files))


def check_same_settings(out_dir: str | os.PathLike, found: dict,
                        settings: dict) -> None:
    """Refuse to continue labels that were made with other settings.

    Args:
        out_dir (str | os.PathLike): Where they are.
        found (dict): Their settings.
        settings (dict): Those wanted, as they would be read back from JSON.

    Raises:
        RuntimeError: If they differ.
    """
    changed = sorted(key for key in {*found, *settings}
                     if found.get(key) != settings.get(key))
    if changed:
        raise RuntimeError(
            f'{out_dir} holds labels that were made with other settings '
            f'({", ".join(changed)}): choose another out_dir, or remove that '
            'folder to make them anew')


def read_manifest(path: str | os.PathLike) -> dict:
    """Read the manifest of a :class:`PseudoLabelWriter`.

    Args:
        path (str | os.PathLike): File name.

    Returns:
        dict: Its content: bool 'complete', dict 'settings', list 'classes'
        and int 'num_masks'.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it holds something else.
    """
    content = read_json(path)
    shape = dict(complete=bool, settings=dict, classes=list, num_masks=int)
    if not isinstance(content, dict) or any(
            not isinstance(content.get(key), kind)
            for key, kind in shape.items()):
        raise ValueError(
            f'{path} is no manifest of labels: expected an object with '
            f'{", ".join(shape)}, but got {str(content)[:80]}. Remove '
            f'{Path(path).parent} to make the labels anew, or choose another '
            'folder')
    return content


def read_bg_thr(manifest: str | os.PathLike) -> float | str:
    """Tell with which score of the background masks were made.

    Args:
        manifest (str | os.PathLike): ``manifest.json`` of a
            :class:`PseudoLabelWriter`.

    Returns:
        float | str: The score, in [0, 1], or an
        :class:`~mmlpcam.ops.AutoThreshold` as text.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it does not say.
    """
    settings = read_manifest(manifest)['settings'].get('test_cfg', {})
    try:
        check_bg_thr(settings.get('bg_thr'), 'test_cfg.bg_thr')
    except ValueError as error:
        raise ValueError(f'{manifest}: {error}') from error
    return settings['bg_thr']


def _label_files(out_dir: Path, image_id: str, with_maps: bool,
                 extra_map_types: Sequence[str]) -> list[Path]:
    """Return the files of an image, the mask first."""
    files = [check_inside(out_dir / 'masks', f'{image_id}.png')]
    if with_maps:
        folders = ['maps', *(f'extra_maps/{name}' for name in extra_map_types)]
        files += [out_dir / each / f'{image_id}.npz' for each in folders]
    return files
