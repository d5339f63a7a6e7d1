"""Official names of AMN and MCTformer."""
import numpy as np
import pytest
import torch

from mmlpcam.converters.official_weights import (convert_amn_weights,
                                                 convert_mctformer_weights)
from mmlpcam.models import AMNHead, MCTHead, MCTPatchHead, MCTransformer


@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_amn(prefix):
    head = AMNHead(8, 5)
    own = head.state_dict()
    weights = {'resnet50.conv1.weight': torch.ones(1)}
    weights['resnet50.fc.weight'] = torch.ones(2)
    for name, value in own.items():
        official = name.replace('label_encoder', 'label_enc')
        if name.startswith('convs.'):
            official = 'classifier.1.c' + name[len('convs.'):]
        weights[official] = value
        for again in ('newly_added.1.', 'stage5.0.', 'backbone.0.'):
            weights[again + name] = value
    found = convert_amn_weights({prefix + k: v for k, v in weights.items()})
    assert found.pop('backbone.conv1.weight') is not None
    assert set(found) == {f'decode_head.{name}' for name in own}
    assert all(found[f'decode_head.{k}'] is v for k, v in own.items())


@pytest.mark.parametrize('version', ['v1', 'v2'])
def test_parity_mctformer_names(parity, version):
    with np.load(parity / 'mctformer.npz', allow_pickle=False) as file:
        weights = {
            name.removeprefix(f'{version}.weights.'):
            torch.from_numpy(file[name])
            for name in file.files if name.startswith(f'{version}.weights.')
        }
    found = convert_mctformer_weights(weights)
    backbone = MCTransformer(
        6, img_size=64, embed_dims=48, depth=4, num_heads=3)
    head = (MCTHead if version == 'v1' else MCTPatchHead)(48, 6)
    expected = {f'backbone.{name}' for name in backbone.state_dict()}
    expected |= {
        f'decode_head.{name}'
        for name in head.state_dict() if not name.startswith('bank.')
    }
    assert set(found) == expected
    backbone.load_state_dict({
        name.removeprefix('backbone.'): value
        for name, value in found.items() if name.startswith('backbone.')
    })


def test_deit():
    """One class token, and a classifier that is not needed."""
    model = MCTransformer(4, img_size=32, embed_dims=12, depth=3, num_heads=2)
    weights = dict(model.state_dict())
    weights['cls_token'] = torch.rand(1, 1, 12)
    weights['pos_embed'] = torch.rand(1, 5, 12)
    weights.update({
        'norm.weight': torch.ones(12),
        'norm.bias': torch.ones(12),
        'head.weight': torch.ones(1000, 12),
        'head.bias': torch.ones(1000)
    })
    found = convert_mctformer_weights(weights)
    assert set(found) == {f'backbone.{name}' for name in model.state_dict()}
    model.load_state_dict({
        name.removeprefix('backbone.'): v
        for name, v in found.items()
    })
    assert torch.equal(model.cls_token[:, 2], weights['cls_token'][:, 0])


@pytest.mark.parametrize('convert, kind', [
    (convert_amn_weights, 'AMN'),
    (convert_mctformer_weights, 'MCTformer or DeiT'),
])
def test_others_are_refused(convert, kind):
    with pytest.raises(ValueError, match=f'a checkpoint of {kind}'):
        convert({'conv1.weight': torch.ones(1)})
    needed = dict(AMN='label_enc.weight').get(kind, 'cls_token')
    with pytest.raises(ValueError, match=r"1 weights .*\['extra.bias'\]"):
        convert({needed: torch.ones(1), 'extra.bias': torch.ones(1)})
