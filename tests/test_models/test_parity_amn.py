"""AMN against numbers of the official code."""
import numpy as np
import pytest
import torch

from mmlpcam.models import AMNHead
from mmlpcam.ops import balanced_smooth_loss, gated_maps


def check_close(found, expected):
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.fixture(scope='module')
def official(parity):
    with np.load(parity / 'amn.npz', allow_pickle=False) as file:
        return {name: torch.from_numpy(np.asarray(file[name]))
                for name in file.files}  # yapf: disable


def test_parity_amn_head(official):
    channels, number = official['enc_weight'].shape
    head = AMNHead(channels, number + 1).eval()
    head.label_encoder.load_state_dict(
        dict(weight=official['enc_weight'], bias=official['enc_bias']))
    for i, conv in enumerate(head.convs):
        conv.load_state_dict(
            dict(
                weight=official[f'conv{i}_weight'],
                bias=official[f'conv{i}_bias']))
    with torch.no_grad():
        check_close(
            head([official['feature']], official['label']), official['logit'])


def test_parity_amn_loss(official):
    loss = balanced_smooth_loss(official['logit'],
                                official['loss_seed'].long(),
                                float(official['loss_eps']))
    check_close(loss.double(), official['loss'])


@pytest.mark.parametrize('size', ['full', 'strided'])
def test_parity_amn_maps(official, size):
    images = [name for name in official if name.startswith('refined_')]
    for image in range(len(images)):
        labels = official['label'][image].nonzero().flatten().tolist()
        expected = official[f'maps_{size}_{image}']
        logits = [
            official[name] for name in official
            if name.startswith(f'logits_{image}_')
        ]
        check_close(
            gated_maps(logits, labels, official[f'refined_{image}'],
                       tuple(expected.shape[1:])), expected)
