"""A few pictures of each run for TensorBoard, W&B and the like."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.dataset import pseudo_collate
from mmengine.dist import is_main_process
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmengine.visualization import LocalVisBackend, Visualizer
from mmseg.engine.hooks import SegVisualizationHook
from mmseg.registry import HOOKS
from mmseg.structures import SegDataSample

from mmlpcam.models import MapReader
from mmlpcam.structures import map_title, sort_map_types
from mmlpcam.utils.photos import read_photo
from .panels import draw_legend, draw_map, draw_mask, draw_panel

_WIDTH = 320  # pixels of a column


@HOOKS.register_module()
class StagePicturesHook(SegVisualizationHook):
    """MMSegmentation's hook, which also sends a few pictures to a server.

    With ``draw=True`` it is that hook. Without, it is at work where the
    visualizer has another backend than local files, such as
    ``TensorboardVisBackend``: each validation and each test adds the same few
    pictures, and a training without a validation adds them at its end. A
    picture shows a photo, its maps, its mask and the true one, as far as
    there are any.

    Args:
        num_images (int): Most pictures of a run, spread evenly over its
            photos; of a batch, the first photo. Defaults to 8.
        **kwargs: Those of :class:`SegVisualizationHook`.
    """

    def __init__(self, num_images: int = 8, **kwargs) -> None:
        super().__init__(**kwargs)
        self.num_images = num_images

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: dict,
                       outputs: Sequence[SegDataSample]) -> None:
        """Add a picture of a chosen batch of a validation."""
        super().after_val_iter(runner, batch_idx, data_batch, outputs)
        if self._is_due(runner, batch_idx, len(runner.val_loop.dataloader)):
            _send(runner, f'val_{batch_idx}', outputs[0])

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: dict,
                        outputs: Sequence[SegDataSample]) -> None:
        """Add a picture of a chosen batch of a test."""
        super().after_test_iter(runner, batch_idx, data_batch, outputs)
        if self._is_due(runner, batch_idx, len(runner.test_loop.dataloader)):
            _send(runner, f'test_{batch_idx}', outputs[0])

    @torch.no_grad()
    def after_train(self, runner: Runner) -> None:
        """Add pictures of photos of the training, if it has no validation."""
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        dataset = runner.train_dataloader.dataset
        if (runner.val_loop is not None or 'test_pipeline' not in runner.cfg
                or isinstance(model, MapReader)):  # maps of another stage
            return
        pipeline = Compose([
            step for step in runner.cfg.test_pipeline
            if step['type'] != 'LoadAnnotations'
        ])
        was_training = model.training
        model.eval()
        for index in range(len(dataset)):
            if self._is_due(runner, index, len(dataset)):
                info = dataset.get_data_info(index)
                data = pipeline(dict(img_path=info['img_path']))
                if 'img_labels' in info:
                    data['data_samples'].set_metainfo(
                        dict(img_labels=info['img_labels']))
                sample, = model.test_step(pseudo_collate([data]))
                _send(runner, f'train_{index}', sample)
        model.train(was_training)

    def _is_due(self, runner: Runner, index: int, number: int) -> bool:
        """Whether one of so many batches or photos is to be drawn."""
        chosen = np.linspace(0, number - 1, min(self.num_images, number))
        return not self.draw and is_main_process() and has_server(
            runner.visualizer) and index in chosen.round()


def has_server(visualizer: Visualizer) -> bool:
    """Tell whether pictures go elsewhere than into local files.

    Args:
        visualizer (Visualizer): The visualizer of a run.

    Returns:
        bool: Whether one of its backends is no ``LocalVisBackend``.
    """
    return any(not isinstance(backend, LocalVisBackend)
               for backend in visualizer._vis_backends.values())


def _send(runner: Runner, name: str, sample: SegDataSample) -> None:
    if 'pred_sem_seg' not in sample:  # of a test of image labels
        return
    meta = runner.visualizer.dataset_meta
    photo = read_photo(sample.img_path)[..., ::-1]
    picture = draw_sample(photo, sample, meta['classes'], meta['palette'])
    runner.visualizer.add_image(f'{name}_{Path(sample.img_path).stem}',
                                picture, runner.iter)


def draw_sample(photo: np.ndarray, sample: SegDataSample,
                classes: Sequence[str],
                palette: Sequence[Sequence[int]]) -> np.ndarray:
    """Draw what was predicted for a photo.

    Args:
        photo (np.ndarray): Pixels (H, W, 3) uint8, RGB.
        sample (:obj:`SegDataSample`): Its prediction, with maps in
            ``activation`` and a true mask in ``gt_sem_seg`` if there are any.
        classes (Sequence[str]): Names of the mask values.
        palette (Sequence[Sequence[int]]): Their colours, RGB.

    Returns:
        np.ndarray: (H', W', 3) uint8, RGB: photo, the highest map of each
        type, mask and true mask side by side, above a legend.
    """
    cells = dict(image=photo)
    if 'activation' in sample:
        for kind in sort_map_types(set(sample.activation.keys())):
            maps = sample.activation.get(kind)
            if len(maps):  # else the photo has no class
                cells[map_title(kind)] = draw_map(
                    photo,
                    maps.amax(0).float().cpu().numpy())
    for title, field in (('mask', 'pred_sem_seg'), ('ground truth',
                                                    'gt_sem_seg')):
        if field in sample:
            mask = sample.get(field).data[0].cpu().numpy()
            if mask.shape == photo.shape[:2]:  # not resized by the pipeline
                cells[title] = draw_mask(photo, mask, palette)
    panel = draw_panel([[*cells.values()]], [*cells], _WIDTH)
    legend = draw_legend(classes[1:], palette[1:], panel.shape[1])
    return np.concatenate([panel, legend])
