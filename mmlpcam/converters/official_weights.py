"""Names of weights in official checkpoints."""
import re
from collections.abc import Callable, Mapping

from torch import Tensor

# Rules: the start of a name as a regular expression, and what takes its place,
# or None where the tensor is not needed. The first that fits counts.
_Rules = tuple[tuple[str, str | None], ...]
_RESNET: _Rules = (
    (r'resnet50\.fc\.', None),
    (r'resnet50\.', 'backbone.'),
)
_IRN: _Rules = (
    *_RESNET,
    # stages 1 to 5 name the same tensors once more, and so do the lists that
    # group them
    (r'stage1\.0\.', 'backbone.conv1.'),
    (r'stage1\.1\.', 'backbone.bn1.'),
    *((rf'stage{i + 1}\.0\.', f'backbone.layer{i}.') for i in range(1, 5)),
    (r'(backbone|edge_layers|dp_layers|newly_added)\.', None),
    # the branch of the displacements, which only masks of instances need, and
    # buffers of the loss that the official IRNet is saved with
    (r'fc_dp[1-7]\.|mean_shift\.|path_indices\d+$|disp_target$', None),
    (r'classifier\.weight$', 'decode_head.conv_seg.weight'),
    *((rf'fc_edge{i + 1}\.', f'decode_head.stages.{i}.') for i in range(5)),
    (r'fc_edge6\.', 'decode_head.fuse.'),
)
_AMN: _Rules = (
    *_RESNET,
    (r'classifier\.1\.c([0-3])\.', r'decode_head.convs.\1.'),
    (r'label_enc\.', 'decode_head.label_encoder.'),
    # the same tensors once more
    (r'(stage\d|backbone|newly_added)\.', None),
)
_TRANSFORMER: _Rules = (
    (r'(cls_token|pos_embed|patch_embed\.|blocks\.)', r'backbone.\1'),
    # never applied
    (r'norm\.', None),
)


def convert_irn_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of ``res50_cam.pth`` or ``res50_irn.pth``.

    The displacement branch of IRNet is left out.

    Args:
        weights (Mapping[str, Tensor]): State dict of the official classifier
            or of the official IRNet, as saved with or without DataParallel.

    Returns:
        dict[str, Tensor]: State dict of a :class:`CAMSegmentor` with a ResNet
        and a :class:`CAMHead` (without prototypes), or of an :class:`IRNet`.

    Raises:
        ValueError: If the weights are of neither kind, or a name is not
            known.
    """
    return _convert(weights, ('classifier.weight', 'fc_edge6.weight'),
                    'IRN or LPCAM', _IRN)


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
    return _convert(weights, ('label_enc.weight', ), 'AMN', _AMN)


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
    return _convert(weights, ('cls_token', ), 'MCTformer or DeiT',
                    (*_TRANSFORMER, (r'head\.', target)))


def _convert(weights: Mapping[str, Tensor], signs: tuple[str, ...], kind: str,
             rules: _Rules) -> dict[str, Tensor]:
    weights = {re.sub('^module[.]', '', k): v for k, v in weights.items()}
    if not set(signs) & set(weights):
        raise ValueError(
            f'expected {" or ".join(map(repr, signs))} among the weights, but '
            f'got {sorted(weights)[:5]}, ...: give a checkpoint of {kind}')
    converted, unknown = {}, []
    for name, value in weights.items():
        for pattern, target in rules:
            if re.match(pattern, name):
                if target is not None:
                    converted[re.sub(f'^(?:{pattern})', target, name)] = value
                break
        else:
            unknown.append(name)
    if unknown:
        raise ValueError(f'{len(unknown)} weights have names that {kind} '
                         f'does not use: {unknown[:5]}')
    return converted


CONVERTERS: dict[str, Callable[[Mapping[str, Tensor]], dict[str, Tensor]]] = (
    dict(
        irn=convert_irn_weights,
        amn=convert_amn_weights,
        mctformer=convert_mctformer_weights))
"""dict[str, Callable]: The converters by method, for the tool."""
