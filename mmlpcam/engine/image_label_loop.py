"""Test loop that classifies whole images."""
from typing import Any

import torch
from mmengine.model import is_model_wrapper
from mmengine.runner import TestLoop, autocast
from mmseg.registry import LOOPS

from mmlpcam.models import classify_images


@LOOPS.register_module()
class ImageLabelLoop(TestLoop):
    """Run a test that asks for image labels alone: no map is made.

    Each sample gets ``img_scores``, see
    :func:`~mmlpcam.models.classify_images`, for
    :class:`~mmlpcam.evaluation.ImageLabelMetric`. Arguments are those of
    MMEngine's ``TestLoop``.
    """

    @torch.no_grad()
    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Classify a batch.

        Args:
            idx (int): Number of the batch.
            data_batch (dict): What the loader gives: ``inputs`` and
                ``data_samples``.
        """
        self.runner.call_hook(
            'before_test_iter', batch_idx=idx, data_batch=data_batch)
        model = self.runner.model
        model = model.module if is_model_wrapper(model) else model
        with autocast(enabled=self.fp16):
            data = model.data_preprocessor(data_batch, False)
            outputs = classify_images(model, data['inputs'],
                                      data['data_samples'])
        self.evaluator.process(data_samples=outputs, data_batch=data_batch)
        self.runner.call_hook(
            'after_test_iter',
            batch_idx=idx,
            data_batch=data_batch,
            outputs=outputs)
