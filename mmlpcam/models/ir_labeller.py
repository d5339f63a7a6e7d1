"""Stored maps in, the labels that IRN learns from out."""
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import torch
from mmengine.model import BaseModel
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor

from mmlpcam.ops import confident_labels
from mmlpcam.ops.dense_crf import choose_backend
from mmlpcam.structures import load_maps
from mmlpcam.utils.parallel import explained_death, worker_pool


@MODELS.register_module()
class IRLabeller(BaseModel):
    """Model without weights that labels what stored maps are sure of.

    It runs like any model in a test loop, so that loading, progress, several
    ranks and resuming are those of MMEngine. The dense CRF, which takes most
    of the time, runs for the images of a batch in parallel.

    Args:
        map_dir (str): Folder of the maps, see
            :func:`mmlpcam.structures.load_maps`.
        fg_thr (float): See :func:`mmlpcam.ops.confident_labels`. Defaults to
            0.45, as in LPCAM.
        bg_thr (float): The same. Defaults to 0.25.
        crf (dict, optional): Arguments of :class:`mmlpcam.ops.DenseCRF`.
            Defaults to None: those of IRN.
        num_workers (int): Processes; 0 works in the calling one. A batch
            should hold a few images for each. Defaults to 0.

    Raises:
        ValueError: If the thresholds are not 0 <= bg_thr <= fg_thr <= 1.
    """

    def __init__(self,
                 map_dir: str,
                 *,
                 fg_thr: float = 0.45,
                 bg_thr: float = 0.25,
                 crf: dict | None = None,
                 num_workers: int = 0) -> None:
        super().__init__()
        if not 0 <= bg_thr <= fg_thr <= 1:
            raise ValueError('expected 0 <= bg_thr <= fg_thr <= 1, but got '
                             f'bg_thr {bg_thr} and fg_thr {fg_thr}')
        crf = dict(crf or {})
        crf['backend'] = choose_backend(crf.get('backend', 'auto'))
        # PseudoLabelLoop writes them beside the labels
        self.test_cfg = dict(fg_thr=fg_thr, bg_thr=bg_thr, crf=crf)
        self.map_dir = map_dir
        self.num_workers = num_workers
        self._pool: ProcessPoolExecutor | None = None

    def forward(self,
                inputs: list[Tensor],
                data_samples: SampleList,
                mode: str = 'predict') -> SampleList:
        """Label a batch.

        Args:
            inputs (list[Tensor]): Images (3, H, W) uint8, BGR.
            data_samples (list[:obj:`SegDataSample`]): Samples with
                ``image_id`` in their metainfo, as from
                :class:`~mmlpcam.datasets.ImageLabelDataset`.
            mode (str): 'predict' is all there is.

        Returns:
            list[:obj:`SegDataSample`]: With ``pred_sem_seg``, (1, H, W), 255
            where the maps are not sure.

        Raises:
            FileNotFoundError: If an image has no maps.
            ValueError: If the mode is another, or maps do not fit.
        """
        if mode != 'predict':
            raise ValueError(f"IRLabeller has nothing to train: mode {mode!r}")
        images = [
            image.flip(0).permute(1, 2, 0).contiguous().cpu().numpy()
            for image in inputs
        ]
        maps = [
            load_maps(self.map_dir, sample, image.shape[:2])
            for sample, image in zip(data_samples, images)
        ]
        masks = self._map(
            partial(confident_labels, **self.test_cfg), images,
            [each.full().numpy() for each in maps],
            [each.labels for each in maps])
        for sample, mask in zip(data_samples, masks):
            sample.set_data(
                dict(
                    pred_sem_seg=PixelData(
                        data=torch.from_numpy(mask.astype(np.int64))[None])))
        return data_samples

    def _map(self, function: Callable, *arguments: list) -> list[np.ndarray]:
        if not self.num_workers:
            return list(map(function, *arguments))
        if self._pool is None:
            self._pool = worker_pool(self.num_workers)
        with explained_death():
            return list(self._pool.map(function, *arguments))
