"""Test loop that makes only the labels that are missing."""
import hashlib
import logging
from statistics import median

import torch
from mmengine.dist import all_gather_object
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner, TestLoop, autocast
from mmseg.registry import LOOPS
from torch import nn
from torch.utils.data import DataLoader, Subset

from mmlpcam.datasets import with_image_ids
from mmlpcam.evaluation import PseudoLabelWriter
from mmlpcam.models import fast_inference, open_threshold, prediction_settings
from mmlpcam.utils import on_main_process
from mmlpcam.utils.names import listed

# At most so many images tell the typical threshold of a set.
_TYPICAL_IMAGES = 100


@LOOPS.register_module()
class PseudoLabelLoop(TestLoop):
    """Run a test for the images that a :class:`PseudoLabelWriter` lacks.

    Where the masks have a threshold of each image, such as
    ``bg_thr='otsu'``, it is brought halfway to the median of the set, which up
    to 100 images spread over it tell first: see
    :class:`~mmlpcam.ops.AutoThreshold`.

    Args:
        runner (Runner): The runner.
        dataloader (dict): Config whose dataset is an
            :class:`ImageLabelDataset`, or several in MMEngine's wrappers.
        evaluator (dict | list): The writer alone: another metric would only
            see the images that were missing.
        fp16 (bool): Whether to run in half precision. Defaults to False.

    Raises:
        TypeError: If the dataset is of a kind that is not known.
        ValueError: If the evaluator holds another metric, or two images
            share an id.
    """

    def __init__(self,
                 runner: Runner,
                 dataloader: dict,
                 evaluator: dict | list,
                 fp16: bool = False) -> None:
        super().__init__(runner, dataloader, evaluator, fp16=fp16)
        metrics = self.evaluator.metrics
        if len(metrics) != 1 or not isinstance(metrics[0], PseudoLabelWriter):
            raise ValueError(
                'PseudoLabelLoop takes one PseudoLabelWriter, but got '
                f'{[type(metric).__name__ for metric in metrics]}: score maps '
                'in a stage of their own')
        self._dataloader_cfg = dataloader
        self._dataset = with_image_ids(self.dataloader.dataset)

    def run(self) -> dict:
        """Write the missing labels.

        Returns:
            dict: Metrics of the writer.

        Raises:
            RuntimeError: If labels are not there at the end.
        """
        writer = self.evaluator.metrics[0]
        model = self.runner.model
        model = model.module if is_model_wrapper(model) else model
        # RepeatDataset shows an image more than once
        first: dict[str, int] = {}
        for index, image_id in enumerate(self._dataset.image_ids):
            first.setdefault(image_id, index)
        digest = model_digest(model)
        threshold = open_threshold(model)
        if threshold is not None:
            typical = writer.typical_threshold(digest)
            if typical is None:
                typical = self._typical_threshold(model, list(first.values()))
            model.test_cfg['bg_thr'] = str(threshold._replace(typical=typical))
        writer.open(
            dict(model=digest, fp16=self.fp16, **prediction_settings(model)),
            self._dataset.image_ids)
        # one rank decides, since others may already be writing
        missing = set(on_main_process(writer.missing))
        to_make = [
            index for image_id, index in first.items() if image_id in missing
        ]
        print_log(
            f'{len(first) - len(to_make)} of {len(first)} labels are '
            f'there already; {len(to_make)} to make',
            logger='current',
            level=logging.INFO)
        self.dataloader = self._build_dataloader(to_make)
        metrics = self._make(model)
        check_written(writer)
        return metrics

    def _typical_threshold(self, model: nn.Module,
                           indices: list[int]) -> float | None:
        """Median threshold of images spread over the set, on all ranks.

        None where no image has a label.
        """
        step = max(1, -(-len(indices) // _TYPICAL_IMAGES))
        chosen = indices[::step]
        found = {}
        self.runner.model.eval()
        with torch.no_grad(), fast_inference(model), autocast(
                enabled=self.fp16):
            for batch in self._build_dataloader(chosen):
                for sample in self.runner.model.test_step(batch):
                    if sample.img_labels:
                        found[sample.image_id] = sample.bg_thr
        # a sampler may give an image to two ranks
        found = dict(
            item for rank in all_gather_object(found) for item in rank.items())
        if not found:
            return None
        typical = median(found.values())
        print_log(
            f'median threshold of {len(found)} images: {typical:.2f}',
            logger='current',
            level=logging.INFO)
        return typical

    def _make(self, model: nn.Module) -> dict:
        """Run the test: that of TestLoop, with a model that is faster.

        Hooks that change weights for a test, such as EMAHook, do so before
        and after.
        """
        self.runner.call_hook('before_test')
        self.runner.call_hook('before_test_epoch')
        self.runner.model.eval()
        with fast_inference(model):
            for idx, data_batch in enumerate(self.dataloader):
                self.run_iter(idx, data_batch)
        metrics = self.evaluator.evaluate(len(self.dataloader.dataset))
        self.runner.call_hook('after_test_epoch', metrics=metrics)
        self.runner.call_hook('after_test')
        return metrics

    def _build_dataloader(self, indices: list[int]) -> DataLoader:
        remaining = Subset(self._dataset, indices)
        remaining.metainfo = self._dataset.metainfo
        if not indices:  # samplers refuse an empty dataset
            return DataLoader(remaining)
        return Runner.build_dataloader(
            {
                **self._dataloader_cfg, 'dataset': remaining
            },
            seed=self.runner.seed)


def check_written(writer: PseudoLabelWriter) -> None:
    """Count the labels of a run that has ended, in all processes.

    Args:
        writer (PseudoLabelWriter): The writer.

    Raises:
        RuntimeError: If some are missing, or cut.
    """
    missing = on_main_process(writer.missing)
    if missing:
        raise RuntimeError(
            f'{len(missing)} of {len(writer.image_ids)} labels in '
            f'{writer.out_dir} are missing or cut although they were '
            f'written: {listed(missing)}. Is the disk full, or does something '
            'remove files there? The same command again makes them')


def model_digest(model: nn.Module) -> str:
    """Hash the parameters and buffers of a model.

    Args:
        model (nn.Module): Any module.

    Returns:
        str: The first 16 hexadecimal digits of a SHA-256 digest.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
