import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmlpcam.models import ASPPV2Head


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def build(in_channels=3, num_classes=2, **kwargs):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = ASPPV2Head(in_channels, num_classes, **kwargs)
        head.init_weights()
    return head


def test_answer_to_a_single_pixel():
    head = build(1, 2)
    for i, conv in enumerate(head.convs):
        conv.weight.data.fill_(10**i)
        conv.bias.data.fill_(.25)
    image = torch.zeros(1, 1, 61, 61)
    image[0, 0, 30, 30] = 1
    want = torch.full((61, 61), 1.)
    for i, rate in enumerate((6, 12, 18, 24)):
        for y in (30 - rate, 30, 30 + rate):
            for x in (30 - rate, 30, 30 + rate):
                want[y, x] += 10**i
    logits = head([image])[0]
    torch.testing.assert_close(logits, torch.stack([want, want]))
    # the centre is seen by all, 8 places at each distance by one
    assert logits[:, 30, 30].tolist() == [1112, 1112]
    assert (logits[0] > 1).sum() == 1 + 4 * 8


def test_logits_equal_plain_loops():
    head = build(dilations=(1, 3))
    feats = randn(1, 3, 5, 4)
    for i, conv in enumerate(head.convs):
        conv.weight.data = randn(2, 3, 3, 3, seed=i)
        conv.bias.data = randn(2, seed=9 + i)
    want = torch.zeros(2, 5, 4)
    for conv, rate in zip(head.convs, (1, 3)):
        for y in range(5):
            for x in range(4):
                want[:, y, x] += conv.bias
                for i in range(3):
                    for j in range(3):
                        row, col = y + (i - 1) * rate, x + (j - 1) * rate
                        if 0 <= row < 5 and 0 <= col < 4:
                            want[:, y, x] += (
                                conv.weight[:, :, i, j] @ feats[0, :, row,
                                                                col])
    got = head([randn(1, 3, 9, 9), feats])  # the last level
    torch.testing.assert_close(got[0], want)


@torch.no_grad()
def test_initial_weights():
    head = build(256, 21)
    assert {name
            for name, _ in head.named_parameters()} == {
                f'convs.{i}.{kind}'
                for i in range(4)
                for kind in ('weight', 'bias')
            }
    for conv in head.convs:
        assert float(conv.weight.mean()) == pytest.approx(0, abs=2e-4)
        assert float(conv.weight.std()) == pytest.approx(.01, rel=.02)
        assert not conv.bias.any()


@pytest.mark.parametrize('num_classes', [2, 3])
def test_loss_and_its_gradients(num_classes, mmseg_scope):
    head = MODELS.build(
        dict(
            type='ASPPV2Head',
            in_channels=3,
            num_classes=num_classes,
            dilations=(1, 2)))
    feats = randn(2, 3, 4, 6)
    target = torch.randint(
        num_classes, (2, 1, 8, 12), generator=torch.Generator().manual_seed(0))
    target[0, :, :, :7] = 255
    samples = [
        SegDataSample(gt_sem_seg=PixelData(data=mask)) for mask in target
    ]
    loss = head.loss([feats], samples, None)['loss_ce']
    logits = F.interpolate(head([feats]), (8, 12), mode='bilinear')
    torch.testing.assert_close(
        loss, F.cross_entropy(logits, target[:, 0], ignore_index=255))
    loss.backward()
    for name, param in head.named_parameters():
        assert param.grad.abs().sum() > 0, name


@pytest.mark.parametrize('dilations', [(), (0, 6)])
def test_dilations_must_be_positive(dilations):
    with pytest.raises(ValueError, match='one or more positive'):
        ASPPV2Head(3, 2, dilations=dilations)
