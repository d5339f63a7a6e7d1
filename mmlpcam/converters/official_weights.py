"""Names of weights in the checkpoints of IRN and LPCAM."""
import re
from collections.abc import Mapping

from torch import Tensor

# Stages 1 to 5 of the official networks name the same tensors once more, and
# so do the lists that group them.
_STAGES = {
    'stage1.0.': 'conv1.',
    'stage1.1.': 'bn1.',
    'stage2.0.': 'layer1.',
    'stage3.0.': 'layer2.',
    'stage4.0.': 'layer3.',
    'stage5.0.': 'layer4.',
}
# the branch of the displacements, which only masks of instances need, and
# buffers of the loss that the official IRNet is saved with
_UNUSED = re.compile(
    r'fc_dp[1-7]\.|mean_shift\.|path_indices\d+$|disp_target$')
_REPEATED = ('backbone.', 'edge_layers.', 'dp_layers.', 'newly_added.')


def convert_official_weights(
        weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
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
    weights = {re.sub('^module[.]', '', k): v for k, v in weights.items()}
    if not {'classifier.weight', 'fc_edge6.weight'} & set(weights):
        raise ValueError(
            "expected 'classifier.weight' (res50_cam.pth) or "
            "'fc_edge6.weight' (res50_irn.pth) among the weights, but got "
            f'{sorted(weights)[:5]}, ...: give a checkpoint of IRN or LPCAM')
    converted, unknown = {}, []
    for name, value in weights.items():
        target = _target(name)
        if target is None:
            unknown.append(name)
        elif target:
            converted[target] = value
    if unknown:
        raise ValueError(
            f'{len(unknown)} weights have names that neither IRN nor LPCAM '
            f'uses: {unknown[:5]}')
    return converted


def _target(name: str) -> str | None:
    """New name; '' where the tensor is not needed, None if unknown."""
    # num_batches_tracked is not used with fixed statistics, but MMCV has it
    if name.startswith('resnet50.'):
        rest = name[len('resnet50.'):]
        return '' if rest.startswith('fc.') else 'backbone.' + rest
    for old, new in _STAGES.items():
        if name.startswith(old):
            return 'backbone.' + new + name[len(old):]
    if name.startswith(_REPEATED) or _UNUSED.match(name):
        return ''
    if name == 'classifier.weight':
        return 'decode_head.conv_seg.weight'
    edge = re.match(r'fc_edge([1-6])\.(.+)', name)
    if edge:
        number, rest = int(edge[1]), edge[2]
        return ('decode_head.fuse.' + rest
                if number == 6 else f'decode_head.stages.{number - 1}.{rest}')
    return None
