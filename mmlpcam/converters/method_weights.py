"""Names of weights in the checkpoints of AMN, MCTformer and DeiT."""
import re
from collections.abc import Callable, Mapping

from torch import Tensor

_AMN = (
    (r'resnet50\.fc\.', None),
    (r'resnet50\.', 'backbone.'),
    (r'classifier\.1\.c([0-3])\.', r'decode_head.convs.\1.'),
    (r'label_enc\.', 'decode_head.label_encoder.'),
    # the same tensors once more
    (r'(stage\d|backbone|newly_added)\.', None),
)
_TRANSFORMER = (
    (r'(cls_token|pos_embed|patch_embed\.|blocks\.)', r'backbone.\1'),
    # never applied
    (r'norm\.', None),
)


def convert_amn_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of ``res50_amn.pth.pth`` or ``res50_amn_coco.pth``.

    Args:
        weights (Mapping[str, Tensor]): State dict of the official AMN, as
            saved with or without DataParallel.

    Returns:
        dict[str, Tensor]: State dict of an :class:`AMNet` with a ResNet.

    Raises:
        ValueError: If it is none of AMN.
    """
    return _convert(weights, 'label_enc.weight', 'AMN', _AMN, {})


def convert_mctformer_weights(
        weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of MCTformer V1 or V2, or of a DeiT.

    Args:
        weights (Mapping[str, Tensor]): State dict, as it is below 'model' in
            a checkpoint of these.

    Returns:
        dict[str, Tensor]: State dict of a :class:`CAMSegmentor` with an
        :class:`MCTransformer` and, of V2, an :class:`MCTPatchHead` (without
        prototypes). :class:`MCTransformer` repeats the one class token of a
        DeiT when it loads it.

    Raises:
        ValueError: If it is none of these.
    """
    head = weights.get('head.weight')
    # a convolution in V2, in the others a layer that is not used
    target = 'decode_head.conv_seg.' if head is not None and (head.ndim
                                                              == 4) else None
    return _convert(weights, 'cls_token', 'MCTformer or DeiT', _TRANSFORMER,
                    {r'head\.': target})


def _convert(weights: Mapping[str, Tensor], needed: str, kind: str,
             rules: tuple[tuple[str, str | None], ...],
             more: dict[str, str | None]) -> dict[str, Tensor]:
    weights = {re.sub('^module[.]', '', k): v for k, v in weights.items()}
    if needed not in weights:
        raise ValueError(
            f'expected {needed!r} among the weights, but got '
            f'{sorted(weights)[:5]}, ...: give a checkpoint of {kind}')
    converted, unknown = {}, []
    for name, value in weights.items():
        for pattern, target in (*rules, *more.items()):
            if re.match(pattern, name):
                if target is not None:
                    converted[re.sub(f'^{pattern}', target, name)] = value
                break
        else:
            unknown.append(name)
    if unknown:
        raise ValueError(f'{len(unknown)} weights have names that {kind} '
                         f'does not use: {unknown[:5]}')
    return converted


CONVERTERS: dict[str, Callable[[Mapping[str, Tensor]], dict[str, Tensor]]] = (
    dict(amn=convert_amn_weights, mctformer=convert_mctformer_weights))
"""dict[str, Callable]: The converters by method, for the tool."""
