"""Stored maps in, the labels that IRN learns from out."""
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_all_start_methods, get_context

import numpy as np
import torch
from mmengine.model import BaseModel
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import SampleList
from torch import Tensor

from mmlpcam.ops import confident_labels
from mmlpcam.structures import ActivationMaps


@MODELS.register_module()
class IRLabeller(BaseModel):
    """Model without weights that labels what stored maps are sure of.

    It runs like any model in a test loop, so that loading, progress, several
    ranks and resuming are those of MMEngine. The dense CRF, which takes most
    of the time, runs for the images of a batch in parallel.

    Args:
        fg_thr (float): See :func:`mmlpcam.ops.confident_labels`.
        bg_thr (float): The same.
        crf (dict, optional): Arguments of :class:`mmlpcam.ops.DenseCRF`.
            Defaults to None: those of IRN.
        num_workers (int): Processes; 0 works in the calling one. A batch
            should hold a few images for each. Defaults to 0.

    Raises:
        ValueError: If the thresholds are not 0 <= bg_thr <= fg_thr <= 1.
    """

    def __init__(self,
                 *,
                 fg_thr: float,
                 bg_thr: float,
                 crf: dict | None = None,
                 num_workers: int = 0) -> None:
        super().__init__()
        if not 0 <= bg_thr <= fg_thr <= 1:
            raise ValueError('expected 0 <= bg_thr <= fg_thr <= 1, but got '
                             f'bg_thr {bg_thr} and fg_thr {fg_thr}')
        # PseudoLabelLoop writes them beside the labels
        self.test_cfg = dict(fg_thr=fg_thr, bg_thr=bg_thr, crf=crf)
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
                ``map_path`` in their metainfo, see
                :class:`~mmlpcam.datasets.ActivationMapDataset`.
            mode (str): 'predict' is all there is.

        Returns:
            list[:obj:`SegDataSample`]: With ``pred_sem_seg``, (1, H, W), 255
            where the maps are not sure.

        Raises:
            ValueError: If the mode is another, or maps do not fit.
        """
        if mode != 'predict':
            raise ValueError(f"IRLabeller has nothing to train: mode {mode!r}")
        images = [
            image.flip(0).permute(1, 2, 0).contiguous().cpu().numpy()
            for image in inputs
        ]
        paths = [sample.map_path for sample in data_samples]
        label = partial(_label_image, **self.test_cfg)
        for sample, mask in zip(data_samples, self._map(label, images, paths)):
            sample.set_data(
                dict(
                    pred_sem_seg=PixelData(
                        data=torch.from_numpy(mask.astype(np.int64))[None])))
        return data_samples

    def _map(self, function: Callable, *arguments: list) -> list[np.ndarray]:
        if not self.num_workers:
            return list(map(function, *arguments))
        if self._pool is None:
            # a fork shares what is imported; the children use NumPy only
            method = 'fork' if 'fork' in get_all_start_methods() else 'spawn'
            self._pool = ProcessPoolExecutor(
                self.num_workers, mp_context=get_context(method))
        return list(self._pool.map(function, *arguments))


def _label_image(image: np.ndarray, map_path: str, **settings) -> np.ndarray:
    maps = load_maps(map_path, image.shape[:2])
    return confident_labels(image,
                            maps.full().numpy(), maps.labels, **settings)


def load_maps(path: str, size: tuple[int, int]) -> ActivationMaps:
    """Read the maps of an image.

    Args:
        path (str): File of the maps.
        size (tuple[int, int]): Size (H, W) of the image.

    Returns:
        ActivationMaps: The maps.

    Raises:
        ValueError: If they were made for another size.
    """
    maps = ActivationMaps.load(path)
    if maps.size != tuple(size):
        raise ValueError(
            f'{path} holds maps of an image of {maps.size} (H, W), but the '
            f'image is {tuple(size)}: make maps and refine them from images '
            'of one size, without Resize in either test pipeline')
    return maps
