"""Pseudo labels that are made anew while a segmentor trains on them."""
import logging
import os
import re
import shutil
from pathlib import Path

import torch
from mmengine.dist import barrier, is_main_process
from mmengine.evaluator import Evaluator
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import DATASETS
from torch.utils.data import Dataset

from mmlpcam.datasets import (PseudoLabelDataset, SegDatasetWrapper,
                              check_shared_masks, nested_datasets,
                              with_image_ids)
from mmlpcam.evaluation import PseudoLabelWriter, is_labeled, read_manifest
from mmlpcam.models import (MAP_DEFAULTS, MapSettings, check_bg_thr,
                            fast_inference, predict_maps)
from mmlpcam.utils import on_main_process
from mmlpcam.utils.names import listed
from mmlpcam.utils.parallel import track_on_terminal
from .pseudo_label_loop import check_written, model_digest

# of a generation
_NAME = re.compile(r'(epoch|iter)_\d+')


class LabelRefresher:
    """Write the masks of a training set in generations.

    ``<work_dir>/labels/<generation>/`` is what a :class:`PseudoLabelWriter`
    leaves; ``<work_dir>/labels/masks`` is a link to the masks of one
    generation, from which the training set reads. The link moves once a
    generation is complete, so that no epoch sees a mixture, and the
    generation that the last checkpoint goes on with is kept, so that a run
    that is killed at any moment resumes with the labels it had. All others
    are removed. All ranks write.

    Args:
        dataset (dict): Config of an :class:`ImageLabelDataset` with the
            images of the training set, whose pipeline only loads the image.
        map_type (str): Maps that give the masks, of those of the head.
            Defaults to 'lpcam'.
        bg_thr (float | str): Score of the background, in [0, 1], or 'otsu' or
            'li': of each image alone, see :class:`~mmlpcam.ops.AutoThreshold`.
            Defaults to 0.3.
        num_workers (int): Loader processes. Defaults to 2.
        batch_size (int): Most photos, of equal size, that are labelled
            together. Defaults to 1.
    """

    def __init__(self,
                 dataset: dict,
                 *,
                 map_type: str = 'lpcam',
                 bg_thr: float | str = 0.3,
                 num_workers: int = 2,
                 batch_size: int = 1) -> None:
        check_bg_thr(bg_thr, '`bg_thr` of the labels')
        self.dataset = dataset
        self.num_workers = num_workers
        self.batch_size = batch_size
        self.map_cfg = dict(MAP_DEFAULTS, map_type=map_type, bg_thr=bg_thr)
        self.label_dir: Path | None = None
        self._dataset: SegDatasetWrapper | None = None
        self._saved: str | None = None

    @property
    def link(self) -> Path:
        """Path: Where the training set finds its masks."""
        return self.label_dir / 'masks'

    def connect(self, train_dataset: Dataset, work_dir: str) -> None:
        """Tell the training set where its masks will be.

        Args:
            train_dataset (Dataset): Holds a :class:`PseudoLabelDataset` with
                ``label_dir=None``, alone or inside other wrappers.
            work_dir (str): Work dir of the run.

        Raises:
            ValueError: If it holds none, or an image of it is not among
                those that get labels.
            FileExistsError: If other labels are in the place of the link.
        """
        readers = [
            dataset for dataset in nested_datasets(train_dataset)
            if isinstance(dataset, PseudoLabelDataset)
            and dataset.label_dir is None
        ]
        if not readers:
            raise ValueError(
                'PrototypeBankHook is to refresh labels, but nothing reads '
                'them: put a PseudoLabelDataset with label_dir=None into '
                'train_dataloader')
        self._dataset = with_image_ids(DATASETS.build(self.dataset))
        check_shared_masks(train_dataset)
        lacking = {
            image_id
            for reader in readers
            for image_id in reader.image_ids
        } - set(self._dataset.image_ids)
        if lacking:
            raise ValueError(
                f'{len(lacking)} training images would never get a label, '
                f'such as {min(lacking)!r}: PrototypeBankHook.labels.dataset '
                'must hold all images of the training set')
        self.label_dir = Path(work_dir) / 'labels'
        if self.link.exists() and not self.link.is_symlink():
            raise FileExistsError(
                f'{self.link} holds other labels: choose another work dir, '
                'or move that folder')
        for reader in readers:
            reader.label_dir = str(self.link)

    def restore(self, generation: str | None) -> bool:
        """Go back to the labels of a checkpoint.

        Args:
            generation (str, optional): Its name; None for the time before
                the first labels.

        Returns:
            bool: Whether it is there. If not, nothing has changed.
        """
        if generation is not None and not on_main_process(
                lambda: self._is_complete(generation)):
            return False
        if is_main_process():
            self._point_to(generation)
        barrier()
        self._saved = generation
        return True

    @torch.no_grad()
    def refresh(self, model: EncoderDecoder, generation: str,
                settings: MapSettings) -> None:
        """Write all labels anew and let the training set read them.

        The training mode of the model is restored afterwards.

        Args:
            model (EncoderDecoder): Model with a
                :class:`~mmlpcam.models.MapHead`; not wrapped for
                distribution.
            generation (str): Name of the new labels, such as 'epoch_12' or
                'iter_4000'. What a killed run has left under this name is
                removed.
            settings (MapSettings): How maps are made.
        """
        folder = self.label_dir / generation
        if is_main_process():
            shutil.rmtree(folder, ignore_errors=True)
        barrier()
        writer = PseudoLabelWriter(str(folder))
        evaluator = Evaluator(writer)
        evaluator.dataset_meta = self._dataset.metainfo
        writer.open(
            dict(
                model=model_digest(model),
                test_cfg=self.map_cfg,
                maps=[settings._asdict()]), self._dataset.image_ids)
        loader = Runner.build_dataloader(
            dict(
                batch_size=self.batch_size,
                batch_sampler=dict(type='SameSizeBatchSampler'),
                num_workers=self.num_workers,
                sampler=dict(type='DefaultSampler', shuffle=False),
                dataset=self._dataset))
        was_training = model.training
        model.eval()
        try:
            with fast_inference(model):
                for batch in track_on_terminal((loader, len(loader)),
                                               'pseudo labels'):
                    data = model.data_preprocessor(batch)
                    samples = predict_maps(model, data['inputs'],
                                           data['data_samples'], self.map_cfg,
                                           settings)
                    evaluator.process(data_samples=samples, data_batch=batch)
        finally:
            model.train(was_training)
        evaluator.evaluate(len(self._dataset))
        check_written(writer)
        if is_main_process():
            self._point_to(generation)
            for path in self.label_dir.iterdir():
                if (_NAME.fullmatch(path.name)
                        and path.name not in (generation, self._saved)):
                    shutil.rmtree(path, ignore_errors=True)
        barrier()

    def note_checkpoint(self, generation: str | None) -> None:
        """Keep a generation as long as it is that of the last checkpoint.

        Args:
            generation (str, optional): The one in use now.
        """
        self._saved = generation

    def _is_complete(self, generation: str) -> bool:
        folder = self.label_dir / generation
        manifest = folder / 'manifest.json'
        if not manifest.exists() or not read_manifest(manifest)['complete']:
            return False
        missing = [
            image_id for image_id in dict.fromkeys(self._dataset.image_ids)
            if not is_labeled(folder, image_id, with_maps=False)
        ]
        if missing:
            print_log(
                f'{len(missing)} masks in {folder} are missing or cut: '
                f'{listed(missing)}',
                logger='current',
                level=logging.WARNING)
        return not missing

    def _point_to(self, generation: str | None) -> None:
        """Move the link, in one step that cannot be interrupted."""
        if generation is None:
            self.link.unlink(missing_ok=True)
            return
        temporary = self.label_dir / '.tmp-masks'
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(Path(generation) / 'masks')
        os.replace(temporary, self.link)
