"""MCTformer V1 and V2 against numbers of the official code."""
import numpy as np
import pytest
import torch

from mmlpcam.models import MCTHead, MCTPatchHead, MCTransformer

SHAPES = ('square', 'wide', 'tall')


def check_close(found, expected):
    torch.testing.assert_close(
        found, torch.from_numpy(expected).reshape(found.shape), rtol=0,
        atol=1e-4)  # yapf: disable


@pytest.fixture(scope='module', params=['v1', 'v2'])
def official(request, parity):
    """Version, numbers, and the backbone and head with their weights."""
    version = request.param
    with np.load(parity / 'mctformer.npz', allow_pickle=False) as file:
        numbers = {
            name.removeprefix(f'{version}.'): file[name]
            for name in file.files if name.startswith(version)
        }
    weights = {
        name.removeprefix('weights.'): torch.from_numpy(value)
        for name, value in numbers.items() if name.startswith('weights.')
    }
    _, number, dims = weights['cls_token'].shape
    side = round((weights['pos_embed'].shape[1] - number)**.5)
    patch = weights['patch_embed.proj.weight'].shape[-1]
    depth = len({name.split('.')[1] for name in weights if 'blocks' in name})
    backbone = MCTransformer(
        number + 1,
        img_size=side * patch,
        patch_size=patch,
        embed_dims=dims,
        depth=depth,
        num_heads=3).eval()
    head = (MCTHead if version == 'v1' else MCTPatchHead)(
        dims, number + 1, stride=patch).eval()
    missing, unknown = backbone.load_state_dict(weights, strict=False)
    assert not missing
    assert all(name.startswith(('norm.', 'head.')) for name in unknown)
    if version == 'v2':
        head.conv_seg.weight.data = weights['head.weight']
        head.conv_seg.bias.data = weights['head.bias']
    return version, numbers, backbone, head


@pytest.mark.parametrize('shape', SHAPES)
def test_parity_mctformer(official, shape):
    version, numbers, backbone, head = official
    numbers = {
        name.removeprefix(f'{shape}.'): value
        for name, value in numbers.items() if name.startswith(shape)
    }
    classes = range(head.num_classes - 1)
    with torch.no_grad():
        feats = backbone(torch.from_numpy(numbers['input']))
        check_close(head.classify(feats), numbers['class_logits'])
        check_close(feats[2], numbers['patch_affinity'])
        kinds = dict(maps_mct='mct')
        if version == 'v2':
            check_close(head.classify_patches(feats), numbers['patch_logits'])
            kinds.update(maps_patchcam='patchcam', maps_fused='mct_patchcam')
        head.use_affinity = False
        for name, kind in kinds.items():
            check_close(
                head.maps(feats, kind, classes, flip=False), numbers[name])
        head.use_affinity = True
        refined = head.maps(feats, 'mct', classes, flip=False)
        check_close(refined, numbers['maps_refined'])
        # training computes the same tokens without the attention
        backbone.train()
        for block in backbone.blocks:
            block.drop_path.eval()
        tokens, local = backbone(torch.from_numpy(numbers['input']))
        backbone.eval()
    torch.testing.assert_close(tokens, feats[0], rtol=0, atol=1e-4)
    torch.testing.assert_close(local, feats[3], rtol=0, atol=1e-4)
