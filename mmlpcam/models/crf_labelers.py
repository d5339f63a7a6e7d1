"""Stored maps in, the labels that IRN or PSA learns from out."""
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor

from mmlpcam.ops import affinity_labels, confident_labels
from mmlpcam.ops.dense_crf import choose_backend
from mmlpcam.structures import ActivationMaps
from mmlpcam.utils.parallel import explained_death, worker_pool
from .map_refiner import MapReader, TrainingFree


class CRFLabeler(MapReader[Sequence[Tensor]], TrainingFree):
    """Base of models without weights that label what maps are sure of.

    The dense CRF, which takes most of the time, runs for the images of a
    batch at once on a GPU. On the CPU, processes share them out.
    ``test_cfg`` takes the options of the function.

    Attributes:
        function (Callable): Takes images (H, W, 3) uint8 RGB, their maps,
            their labels and options; gives a list of labels (H, W), 255
            where it is not sure.

    Args:
        *args: See :class:`TrainingFree`.
        num_workers (int): Processes; 0 works in the calling one, and so
            does a GPU. A batch should hold a few images for each. Defaults
            to 0.
        **kwargs: See :class:`MapReader` and :class:`TrainingFree`.

    Raises:
        ValueError: If `num_workers` is below 0.
    """

    function: Callable

    def __init__(self, *args, num_workers: int = 0, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if num_workers < 0:
            raise ValueError('`num_workers` must be at least 0, but is '
                             f'{num_workers}')
        crf = dict(self.test_cfg['crf'])
        crf['backend'] = choose_backend(crf.get('backend', 'auto'))
        # PseudoLabelLoop writes them beside the labels
        self.test_cfg['crf'] = crf
        self.num_workers = num_workers
        self._pool: ProcessPoolExecutor | None = None

    def label(self, images: Sequence[Tensor], maps: Sequence[ActivationMaps],
              data_samples: SampleList) -> None:
        """Label a batch.

        Args:
            images (Sequence[Tensor]): Images (3, H, W) uint8, BGR.
            maps (Sequence[ActivationMaps]): Their maps.
            data_samples (list[:obj:`SegDataSample`]): Their samples, which
                get ``pred_sem_seg``, (1, H, W), 255 where the maps are not
                sure.
        """
        photos = [
            image.flip(0).permute(1, 2, 0).contiguous().cpu().numpy()
            for image in images
        ]
        arguments = (photos, [each.full().numpy() for each in maps],
                     [each.labels for each in maps])
        options: dict = dict(self.test_cfg)
        device = images[0].device
        if device.type == 'cpu' and self.num_workers:
            masks = self._map(
                partial(_label_alone, self.function, options), *arguments)
        else:
            options['crf'] = dict(options['crf'], device=device)
            masks = self.function(*arguments, **options)
        for sample, mask in zip(data_samples, masks):
            sample.set_data(
                dict(
                    pred_sem_seg=PixelData(
                        data=torch.from_numpy(mask.astype(np.int64))[None])))

    def _map(self, function: Callable, *arguments: list) -> list[np.ndarray]:
        if self._pool is None:
            self._pool = worker_pool(self.num_workers)
        with explained_death():
            return list(self._pool.map(function, *arguments))


def _label_alone(function: Callable, options: dict, image: np.ndarray,
                 maps: np.ndarray, labels: Sequence[int]) -> np.ndarray:
    """Label one image in a process that has a core for itself."""
    # PyTorch hangs in a fork if it looks for threads of the parent
    torch.set_num_threads(1)
    return function([image], [maps], [labels], **options)[0]


@MODELS.register_module()
class IRLabeler(CRFLabeler):
    """Labels that IRN learns from.

    ``test_cfg`` takes

    - fg_thr (float | str), bg_thr (float | str): See
      :func:`mmlpcam.ops.confident_labels`; both may be 'otsu'. Default to
      0.45 and 0.25, as in LPCAM.
    - crf (dict): Arguments of :class:`mmlpcam.ops.DenseCRF`. Defaults to {}:
      those of IRN.

    Args:
        *args: See :class:`CRFLabeler`.
        **kwargs: The same.

    Raises:
        ValueError: If the thresholds are not 0 <= bg_thr <= fg_thr <= 1.
    """

    function = staticmethod(confident_labels)
    defaults = dict(fg_thr=0.45, bg_thr=0.25, crf={})

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        fg_thr, bg_thr = self.test_cfg['fg_thr'], self.test_cfg['bg_thr']
        if fg_thr == bg_thr == 'otsu':
            return
        if 'otsu' in (fg_thr, bg_thr) or not 0 <= bg_thr <= fg_thr <= 1:
            raise ValueError("expected 0 <= bg_thr <= fg_thr <= 1, or 'otsu' "
                             f'for both, but got bg_thr {bg_thr!r} and fg_thr '
                             f'{fg_thr!r}')


@MODELS.register_module()
class PSALabeler(CRFLabeler):
    """Labels that PSA's AffinityNet learns from.

    ``test_cfg`` takes

    - alphas (tuple[float, float]): See :func:`mmlpcam.ops.affinity_labels`.
      Defaults to (1, 12).
    - crf (dict): Arguments of :class:`mmlpcam.ops.DenseCRF`. Defaults to {}.

    Args:
        *args: See :class:`CRFLabeler`.
        **kwargs: The same.

    Raises:
        ValueError: If the alphas are not 0 < first <= second.
    """

    function = staticmethod(affinity_labels)
    defaults = dict(alphas=(1., 12.), crf={})

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        low, high = self.test_cfg['alphas']
        if not 0 < low <= high:
            raise ValueError('expected two `alphas` 0 < first <= second, but '
                             f'got {low} and {high}')
