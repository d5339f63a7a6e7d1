"""Features of images of any size, as fast as the backbone allows."""
import copy
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from mmcv.cnn.utils import fuse_conv_bn
from mmengine.logging import print_log
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

_PARTS = ('backbone', 'neck')
# of the features of noise, next to their largest value
_ROUNDING = 1e-3


@contextmanager
def fast_inference(model: nn.Module) -> Iterator[None]:
    """Let a model in training compute features faster for a while.

    It is what :func:`fold_batch_norm` makes of it, and cuDNN plans no sizes,
    see :func:`without_plans`. Weights that change meanwhile have no effect.

    Args:
        model (nn.Module): A segmentor in evaluation mode, not wrapped for
            distribution. A model without a backbone stays as it is.

    Yields:
        None: The model is restored at the end.
    """
    kept = _parts(model)
    with without_plans():
        try:
            fold_batch_norm(model)
            yield
        finally:
            for name, part in kept.items():
                setattr(model, name, part)


@torch.no_grad()
def fold_batch_norm(model: nn.Module) -> None:
    """Fold batch norm into convolutions, for inference alone.

    Copies stand in for the backbone and the neck, on the CPU with channels
    last. Features differ by rounding: where they differ by more, on noise,
    the model stays as it is and a warning says so.

    Args:
        model (nn.Module): A segmentor in evaluation mode, changed in place.
    """
    parts = _parts(model)
    if not parts:
        return
    assert isinstance(model, EncoderDecoder)
    try:
        expected = _features_of_noise(model)
        for name, part in parts.items():
            setattr(model, name, _folded(part))
        found = _features_of_noise(model)
        worst = max(
            float((a - b).abs().max() / b.abs().max().clamp_min(1e-6))
            for a, b in zip(found, expected))
        # it goes by the order of the layers, which need not be that of use
        reason = '' if worst <= _ROUNDING else (
            f'features would differ by {worst:.1e}')
    # any backbone may come: what cannot be folded still makes maps
    except (AssertionError, AttributeError, RuntimeError, TypeError,
            ValueError) as error:
        reason = str(error)
    if reason:
        for name, part in parts.items():
            setattr(model, name, part)
        print_log(
            f'Batch norm of {type(model).__name__} is not folded into its '
            f'convolutions: {reason}. Maps are right, but take longer.',
            logger='current',
            level=logging.WARNING)


def _folded(part: nn.Module) -> nn.Module:
    """Return a copy with folded batch norm."""
    folded = fuse_conv_bn(copy.deepcopy(part))
    if next(part.parameters()).device.type == 'cpu':
        folded = folded.to(memory_format=torch.channels_last)
    return folded


def _features_of_noise(model: EncoderDecoder) -> list[Tensor]:
    """Return all features of a small image."""
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(0)
    noise = torch.rand(1, 3, 64, 64, device=device, generator=generator)
    # cuDNN's TensorFloat-32 would differ by more than what is looked for
    with _cudnn(False), torch.autocast(device.type, enabled=False):
        return _flat(model.extract_feat(noise))


@contextmanager
def without_plans() -> Iterator[None]:
    """Keep cuDNN from planning sizes of images that it has not met.

    Photos come in hundreds of sizes, times the scales, and a plan takes
    longer than the convolutions of many photos. PyTorch's own are exact to
    rounding. The switch is MMEngine's ``env_cfg.cudnn_benchmark``: where it
    is on, for images of a few sizes, cuDNN stays in use.

    Yields:
        None: The settings are restored at the end.
    """
    settings = torch.backends.cudnn
    with _cudnn(settings.enabled and settings.benchmark):
        yield


@contextmanager
def _cudnn(enabled: bool) -> Iterator[None]:
    """Switch cuDNN for a while."""
    before = torch.backends.cudnn.enabled
    torch.backends.cudnn.enabled = enabled
    try:
        yield
    finally:
        torch.backends.cudnn.enabled = before


def _parts(model: nn.Module) -> dict[str, nn.Module]:
    """Return the parts of a segmentor in which batch norm can be folded."""
    if not isinstance(model, EncoderDecoder):
        return {}
    parts = {name: getattr(model, name, None) for name in _PARTS}
    return {
        name: part
        for name, part in parts.items() if isinstance(part, nn.Module) and any(
            isinstance(each, _BatchNorm) for each in part.modules())
    }


def _flat(feats: Tensor | Sequence) -> list[Tensor]:
    """Return all tensors of features, whatever holds them."""
    if isinstance(feats, Tensor):
        return [feats]
    return [tensor for each in feats for tensor in _flat(each)]
