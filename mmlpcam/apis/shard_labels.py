"""Labels of photos in shards, by any number of processes."""
import json
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import torch.distributed as torch_dist
from mmengine.dist import all_gather_object, get_dist_info, is_distributed
from mmengine.fileio import exists, get_text, join_path
from mmengine.logging import print_log

from mmlpcam.datasets import ShardSample, has_shard, read_shard, write_shard
from mmlpcam.evaluation import check_same_settings
from mmlpcam.models import prediction_settings
from mmlpcam.utils import on_main_process, reading, stored_path, write_json
from mmlpcam.utils.masks import encode_index_mask
from mmlpcam.utils.parallel import track_on_terminal
from .inferencer import LPCAMInferencer, Prediction
from .photo_inputs import PhotoInput


@dataclass(frozen=True)
class ShardCounts:
    """What has come of shards.

    Attributes:
        written (int): Shards of labels written.
        present (int): Those that were there already.
        masks (int): Masks in those written.
        skipped (int): Photos in those written that were left out, because
            they cannot be decoded.
        failed (dict[str, str]): Why there are no labels, by the name of the
            shard of photos.
    """
    written: int = 0
    present: int = 0
    masks: int = 0
    skipped: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    def __add__(self, other: 'ShardCounts') -> 'ShardCounts':
        return ShardCounts(self.written + other.written,
                           self.present + other.present,
                           self.masks + other.masks,
                           self.skipped + other.skipped, {
                               **self.failed,
                               **other.failed
                           })


class ShardLabeler:
    """Make a shard of labels for each shard of photos.

    ``<out_dir>/<name of the shard>`` gets ``<key>.png``, the mask of each
    photo as :class:`~mmlpcam.evaluation.PseudoLabelWriter` writes it, and
    ``<key>.npz``, its maps, where asked for. Shards appear whole or not at
    all, and those that are there are not made again: the same command goes
    on where a run has stopped. ``<out_dir>/manifest.json`` says how they were
    made. Only one shard at a time is worked on, so memory does not depend on
    how many there are.

    Args:
        inferencer (LPCAMInferencer): Makes the masks. Tags in the shards are
            for classifiers; a segmentor does without.
        out_dir (str): Folder, for any file backend of MMEngine.
        save_maps (bool): Whether to write the maps too. Defaults to False.
        batch_size (int): Photos that are predicted together, if the model
            sees them at one size. Defaults to 1.
        skip_bad (bool): Whether a photo that cannot be decoded is left out.
            The labels then have ``<key>.error``, a text, in its place.
            Defaults to False: its shard gets no labels.
        backend_args (dict, optional): File backend of all shards. Defaults
            to None: those of the prefixes of their names.

    Raises:
        ValueError: If a segmentor is asked for maps, or `batch_size` is not
            positive.
    """

    def __init__(self,
                 inferencer: LPCAMInferencer,
                 out_dir: str,
                 *,
                 save_maps: bool = False,
                 batch_size: int = 1,
                 skip_bad: bool = False,
                 backend_args: dict[str, Any] | None = None) -> None:
        if save_maps and not inferencer.makes_maps:
            raise ValueError('maps are those of a classifier, but '
                             f'{type(inferencer.model).__name__} is a '
                             'segmentor: leave them out')
        if batch_size < 1:
            raise ValueError(f'batch_size must be at least 1, but is '
                             f'{batch_size}')
        self.inferencer = inferencer
        self.out_dir = out_dir
        self.save_maps = save_maps
        self.batch_size = batch_size
        self.skip_bad = skip_bad
        self.backend_args = backend_args

    @property
    def settings(self) -> dict[str, Any]:
        """dict[str, Any]: What decides the labels, JSON-serialisable."""
        model = self.inferencer.model
        return json.loads(
            json.dumps(
                dict(
                    model=self.inferencer.digest,
                    classes=self.inferencer.classes,
                    test_pipeline=self.inferencer.cfg.test_pipeline,
                    save_maps=self.save_maps,
                    **prediction_settings(model)),
                default=str))

    def run(self, shards: Sequence[str]) -> ShardCounts:
        """Make the labels that are missing.

        All processes of a launcher call this. Shard i is that of process i
        modulo their number. A shard that cannot be labelled ends nothing.

        Args:
            shards (Sequence[str]): Names of the shards of photos, of
                :func:`~mmlpcam.datasets.shard_names`.

        Returns:
            ShardCounts: Counts over all processes.

        Raises:
            OSError: If labels cannot be written.
            RuntimeError: If there are labels of other settings, or another
                process has died.
            ValueError: If the photos are in `out_dir`.
        """
        if any(
                os.path.realpath(os.path.dirname(shard)) == os.path.realpath(
                    self.out_dir) for shard in shards):
            raise ValueError(f'{self.out_dir} holds the photos: labels have '
                             'the names of their shards and need a folder of '
                             'their own')
        on_main_process(self._open)
        # processes may end hours apart, which is longer than others wait
        patient = torch_dist.new_group(
            backend='gloo', timeout=timedelta(
                days=30)) if is_distributed() else None
        rank, num_ranks = get_dist_info()
        mine = shards[rank::num_ranks]
        found = sum(
            map(self._run_one, track_on_terminal((mine, len(mine)), 'shards')),
            ShardCounts())
        return sum(all_gather_object(found, patient), ShardCounts())

    def _open(self) -> None:
        """Start or continue a folder."""
        # what a killed run was writing
        for leftover in Path(self.out_dir).glob('.tmp-*.tar'):
            leftover.unlink()
        path = join_path(
            self.out_dir, 'manifest.json', backend_args=self.backend_args)
        if exists(path, backend_args=self.backend_args):
            with reading(path, 'manifest of labels',
                         'remove it and the labels beside it'):
                found = json.loads(
                    get_text(path, backend_args=self.backend_args))
                settings = dict(found['settings'])
            check_same_settings(self.out_dir, settings, self.settings)
            return
        with stored_path(path, self.backend_args) as tmp:
            write_json(tmp, dict(settings=self.settings))

    def _run_one(self, shard: str) -> ShardCounts:
        out = join_path(
            self.out_dir,
            shard.rpartition('/')[2],
            backend_args=self.backend_args)
        if has_shard(out, self.backend_args):
            if _is_older(out, shard):
                print_log(
                    f'{shard} has changed since {out} was written, which is '
                    'kept: remove it to label the photos again',
                    logger='current',
                    level=logging.WARNING)
            return ShardCounts(present=1)
        counts: Counter[str] = Counter()

        def members() -> Iterator[tuple[str, bytes]]:
            for key, suffix, content in self._labels(shard):
                counts[suffix] += 1
                yield f'{key}.{suffix}', content

        try:
            write_shard(out, members(), self.backend_args)
        except (OSError, RuntimeError, ValueError) as error:
            if isinstance(error, OSError) and error.filename != shard:
                raise  # of the labels
            print_log(
                f'no labels of {shard}: {error}',
                logger='current',
                level=logging.ERROR)
            return ShardCounts(failed={shard: str(error)})
        return ShardCounts(
            written=1, masks=counts['png'], skipped=counts['error'])

    def _labels(self, shard: str) -> Iterator[tuple[str, str, bytes]]:
        """Yield key, suffix and content of the labels of a shard."""
        samples = read_shard(shard, backend_args=self.backend_args)
        while batch := list(islice(samples, self.batch_size)):
            photos, errors = {}, {}
            for sample in batch:
                try:
                    photos[sample.key] = sample.photo()
                except ValueError as error:
                    if not self.skip_bad:
                        raise
                    errors[sample.key] = str(error)
            tags = self._tags(s for s in batch if s.key in photos)
            found = {
                each.input.name: each
                for each in self.inferencer.stream(
                    [PhotoInput(*item)
                     for item in photos.items()], tags, self.batch_size)
            }
            for sample in batch:
                if sample.key in found:
                    yield from self._files(sample, found[sample.key])
                    continue
                text = errors[sample.key]
                print_log(text, logger='current', level=logging.WARNING)
                yield sample.key, 'error', text.encode()

    def _tags(self,
              samples: Iterable[ShardSample]) -> dict[str, list[str]] | None:
        """Return the class names of the photos that have tags."""
        if not self.inferencer.makes_maps:
            return None
        foreground = self.inferencer.classes[1:]
        labels = {sample.key: sample.tags(foreground) for sample in samples}
        return {
            key: [foreground[index] for index in found]
            for key, found in labels.items() if found is not None
        }

    def _files(self, sample: ShardSample,
               prediction: Prediction) -> Iterator[tuple[str, str, bytes]]:
        if prediction.error is not None:
            raise RuntimeError(
                f'{sample.shard}, photo {sample.key!r} cannot '
                f'be predicted: {prediction.error}') from prediction.error
        yield sample.key, 'png', encode_index_mask(prediction.mask,
                                                   self.inferencer.palette,
                                                   sample.where('png'))
        if self.save_maps:
            yield sample.key, 'npz', prediction.sample.scale_maps.encode()


def _is_older(path: str, other: str) -> bool:
    """Whether a local file was written before another one."""
    try:
        return os.path.getmtime(path) < os.path.getmtime(other)
    except OSError:  # on no local disk
        return False
