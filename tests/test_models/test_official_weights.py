"""Names of official checkpoints, on networks built as their names say."""
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from torch import nn

from mmlpcam.converters.official_weights import convert_irn_weights


def official_resnet(backbone):
    """The ResNet-50 of IRN under its names: twice, as resnet50 and stages."""
    own = backbone.state_dict()
    weights = {f'resnet50.{name}': value for name, value in own.items()}
    stages = dict(
        conv1='stage1.0',
        bn1='stage1.1',
        layer1='stage2.0',
        layer2='stage3.0',
        layer3='stage4.0',
        layer4='stage5.0')
    for name, value in own.items():
        first, _, rest = name.partition('.')
        weights[f'{stages[first]}.{rest}'] = value
        weights[f'backbone.{stages[first][5:]}.{rest}'] = value
    return weights


def norm_conv(in_channels, out_channels, num_groups):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.GroupNorm(num_groups, out_channels))


class OfficialHeads(nn.Module):
    """The layers of IRN's two branches, under its names."""

    def __init__(self):
        super().__init__()
        widths = (64, 256, 512, 1024, 2048)
        for i, width in enumerate(widths, 1):
            setattr(self, f'fc_edge{i}', norm_conv(width, 32, 4))
        self.fc_edge6 = nn.Conv2d(160, 1, 1)
        for i, (width, out, groups) in enumerate(
                zip(widths, (64, 128, 256, 256, 256), (8, 16, 16, 16, 16)), 1):
            setattr(self, f'fc_dp{i}', norm_conv(width, out, groups))
        self.fc_dp6 = norm_conv(768, 256, 16)
        self.mean_shift = nn.Module()
        self.mean_shift.register_buffer('running_mean', torch.randn(2))
        self.fc_dp7 = nn.Sequential(*norm_conv(448, 256, 16), nn.ReLU(),
                                    nn.Conv2d(256, 2, 1, bias=False),
                                    self.mean_shift)
        # saved with the loss around it
        self.register_buffer('path_indices0', torch.zeros(4, 2, dtype=int))
        self.register_buffer('path_indices17', torch.zeros(4, 2, dtype=int))
        self.register_buffer('disp_target', torch.zeros(1, 2, 152, 1))
        self.edge_layers = nn.ModuleList([self.fc_edge1, self.fc_edge6])
        self.dp_layers = nn.ModuleList([self.fc_dp1, self.fc_dp7])


def build(name, repo):
    cfg = Config.fromfile(str(repo / f'configs/_base_/models/{name}.py')).model
    cfg.backbone.init_cfg = None
    cfg.decode_head.num_classes = 21
    return MODELS.build(cfg)


@pytest.fixture(scope='module')
def repo():
    from pathlib import Path
    return Path(__file__).resolve().parents[2]


@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_classifier(repo, mmseg_scope, prefix):
    model = build('cam_r50-d16', repo)
    weight = torch.randn(20, 2048, 1, 1)
    official = {
        **official_resnet(model.backbone), 'classifier.weight': weight,
        'newly_added.0.weight': weight
    }
    found = convert_irn_weights({
        prefix + name: value
        for name, value in official.items()
    })
    assert torch.equal(found['decode_head.conv_seg.weight'], weight)
    missing, unexpected = build('cam_r50-d16', repo).load_state_dict(
        found, strict=False)
    assert not unexpected
    # the prototypes are what the official file does not have
    assert all(name.startswith('decode_head.bank.') for name in missing)


def test_irnet(repo, mmseg_scope):
    """Every tensor of the network lands, and the branch of the boundaries
    computes what IRN's does; that of the displacements is left out."""
    model, other = build('irn_r50', repo), build('irn_r50', repo)
    heads = OfficialHeads()
    official = {**official_resnet(model.backbone), **heads.state_dict()}
    found = convert_irn_weights(official)
    other.load_state_dict(found, strict=True)
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(other.backbone.state_dict()[name], value), name

    def up(layer, feat, factor, size):
        feat = nn.functional.interpolate(
            layer(feat), scale_factor=factor, mode='bilinear')
        return feat[..., :size[0], :size[1]].relu()

    size, half = (10, 12), (5, 6)
    feats = [
        torch.randn(1, width, *s)
        for width, s in zip((64, 256, 512, 1024, 2048), (size, size, half,
                                                         (3, 3), (3, 3)))
    ]
    with torch.no_grad():
        edge = heads.fc_edge6(
            torch.cat([
                up(getattr(heads, f'fc_edge{i}'), feat, factor, size)
                for i, (feat,
                        factor) in enumerate(zip(feats, (1, 1, 2, 4, 4)), 1)
            ], 1))
        torch.testing.assert_close(other.decode_head(feats), edge)


def test_other_weights_are_refused():
    with pytest.raises(ValueError, match='give a checkpoint of IRN or LPCAM'):
        convert_irn_weights({'conv1.weight': torch.zeros(1)})
    with pytest.raises(ValueError, match=r"1 weights .* \['fc_edge7.x'\]"):
        convert_irn_weights({
            'fc_edge6.weight': torch.zeros(1),
            'fc_edge7.x': torch.zeros(1)
        })
    with pytest.raises(ValueError, match=r"1 weights .* \['fc_dp8.x'\]"):
        convert_irn_weights({
            'fc_edge6.weight': torch.zeros(1),
            'fc_dp8.x': torch.zeros(1)
        })
