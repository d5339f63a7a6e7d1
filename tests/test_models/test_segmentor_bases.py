"""The settings of segmentors train and test on tiny networks and images."""
import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from mmseg.registry import MODELS
from PIL import Image

CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / 'irn'
BN = dict(type='BN', requires_grad=True)
RESNET = dict(
    depth=18,
    base_channels=4,
    stem_channels=4,
    init_cfg=None,
    zero_init_residual=False)  # frozen batch norm would stay at zero
AUX_HEAD = dict(in_channels=16, channels=8, norm_cfg=BN)

# leaf config, and what shrinks its model; the class of the
# backbone, ResNetV1c or ResNet, stays that of the settings
SETTINGS = {
    'deeplabv2_voc':
    dict(backbone=RESNET, decode_head=dict(in_channels=32)),
    'deeplabv3plus_voc':
    dict(
        backbone=dict(RESNET, norm_cfg=BN),
        decode_head=dict(
            in_channels=32,
            channels=8,
            c1_in_channels=4,
            c1_channels=4,
            norm_cfg=BN),
        auxiliary_head=AUX_HEAD),
    'upernet_voc':
    dict(
        backbone=dict(
            embed_dims=4,
            depths=[1, 1, 2, 1],
            num_heads=[1, 1, 2, 2],
            init_cfg=None),
        decode_head=dict(in_channels=[4, 8, 16, 32], channels=8, norm_cfg=BN),
        auxiliary_head=AUX_HEAD),
    'segformer_voc':
    dict(
        backbone=dict(embed_dims=4, num_layers=[1, 1, 1, 1], init_cfg=None),
        decode_head=dict(in_channels=[4, 8, 20, 32], channels=8, norm_cfg=BN)),
}


def load(name) -> Config:
    return Config.fromfile(str(CONFIGS / f'{name}.py'))


@pytest.fixture
def tiny_cfg(request, tmp_path, voc_mini, monkeypatch) -> Config:
    """Shrink one of the settings."""
    # runners print it five times, which takes longer than all the rest
    monkeypatch.setattr(Config, 'pretty_text', '')
    small = SETTINGS[request.param]
    cfg = load(request.param)
    cfg.merge_from_dict(dict(model=copy.deepcopy(small)))
    cfg.work_dir = str(tmp_path / 'work')
    cfg.model.data_preprocessor.size = (96, 96)
    loaders = [cfg[f'{name}_dataloader'] for name in ('train', 'val', 'test')]
    for loader in loaders:
        loader.num_workers = 0
        loader.persistent_workers = False
    train, val, test = (loader.dataset for loader in loaders)
    loaders[0].batch_size = 2
    train.label_dir = str(voc_mini.root / 'SegmentationClass')
    val.indices = [0, 1]
    for dataset in (train.dataset, val, test):
        dataset.data_root = str(voc_mini.root)
        dataset.ann_file = 'ImageSets/Segmentation/train.txt'
    # only sizes change, not the transforms
    for transform in train.dataset.pipeline:
        if transform.type == 'RandomResize':
            transform.scale = (200, 100)
        if transform.type == 'RandomCrop':
            transform.crop_size = (96, 96)
    for step in (*val.pipeline, *test.pipeline):
        if step.type == 'Resize':
            step.scale = (80, 64)
    views = cfg.tta_pipeline[1].transforms
    if len(views) == 4:
        for step in views[0]:
            step.scale = tuple(edge // 8 for edge in step.scale)
    cfg.train_cfg.max_iters = 2
    cfg.train_cfg.val_interval = 2
    cfg.default_hooks.checkpoint.interval = 2
    return cfg


@pytest.mark.parametrize('tiny_cfg', SETTINGS, indirect=True)
def test_two_iterations_and_a_test_with_crf(tiny_cfg):
    runner = Runner.from_cfg(tiny_cfg)
    model = runner.model
    before = {name: param.clone() for name, param in model.named_parameters()}
    runner.train()
    assert runner.message_hub.get_scalar('train/loss').current() > 0
    for name, param in model.named_parameters():
        # the optimiser has a momentum for what had a gradient
        used = bool(runner.optim_wrapper.optimizer.state.get(param))
        assert used == param.requires_grad, name
        if not used:
            assert torch.equal(param, before[name]), name
    for part in ('backbone', 'decode_head'):
        assert any(not torch.equal(param, before[name])
                   for name, param in model.named_parameters()
                   if name.startswith(part))

    # as tools/test.py --tta does
    dataset = tiny_cfg.test_dataloader.dataset
    dataset.update(pipeline=tiny_cfg.tta_pipeline, indices=[2])
    tta_model = MODELS.build(dict(**tiny_cfg.tta_model, module=model)).eval()
    data, = runner.build_dataloader(tiny_cfg.test_dataloader)
    with torch.no_grad():
        sample, = tta_model.test_step(data)
    mask = np.array(Image.open(sample.seg_map_path))
    assert np.array_equal(sample.gt_sem_seg.data[0], mask)
    scores = sample.seg_logits.data
    assert scores.shape == (21, *mask.shape)
    torch.testing.assert_close(scores.sum(0), torch.ones(mask.shape))
    assert torch.equal(sample.pred_sem_seg.data[0], scores.argmax(0))
    assert len(data['inputs']) == (1 if len(dataset.pipeline[1].transforms)
                                   == 2 else 10)


@pytest.mark.parametrize('name', SETTINGS)
@torch.no_grad()
def test_full_size_models_fit_their_heads(name, mmseg_scope):
    model_cfg = load(name).model
    model_cfg.backbone.init_cfg = None
    model = revert_sync_batchnorm(MODELS.build(model_cfg)).eval()
    logits = model(torch.zeros(1, 3, 64, 96), mode='tensor')
    stride = 8 if 'deeplabv2' in name else 4
    assert logits.shape == (1, 21, 64 // stride, 96 // stride)


def test_deeplabv2_is_that_of_deeplab_pytorch(mmseg_scope):
    cfg = load('deeplabv2_voc')
    cfg.model.backbone.init_cfg = None
    model = MODELS.build(cfg.model)
    # all blocks of a stage are dilated alike; strides are on 3x3 kernels
    for stage, rate in enumerate((1, 1, 2, 4), 1):
        for i, block in enumerate(getattr(model.backbone, f'layer{stage}')):
            stride = 2 if (stage, i) == (2, 0) else 1
            assert block.conv1.stride == (1, 1)
            assert block.conv2.stride == (stride, stride)
            assert block.conv2.dilation == (rate, rate)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    settings = {
        name: group
        for group in wrapper.optimizer.param_groups
        for name, param in model.named_parameters()
        if param is group['params'][0]
    }
    for name, param in model.named_parameters():
        if name.startswith('backbone') and param.ndim == 1:
            assert name not in settings  # batch norm
            continue
        factor, decay = 1, 5e-4
        if name.startswith('decode_head'):
            factor, decay = (20, 0.) if name.endswith('bias') else (10, 5e-4)
        group = settings[name]
        assert group['lr'] == pytest.approx(2.5e-4 * factor), name
        assert group['weight_decay'] == decay, name
        assert group['momentum'] == .9
    # 20k steps of two batches of five
    assert cfg.train_cfg.max_iters == 40000
    assert cfg.optim_wrapper.accumulative_counts == 2
    assert cfg.train_dataloader.batch_size == 5


@pytest.mark.parametrize('name', ['upernet_voc', 'segformer_voc'])
def test_adamw_decays_neither_norms_nor_positions(name, mmseg_scope):
    cfg = load(name)
    cfg.merge_from_dict(dict(model=copy.deepcopy(SETTINGS[name])))
    model = MODELS.build(cfg.model)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    free = {
        name
        for group in wrapper.optimizer.param_groups
        for name, param in model.named_parameters()
        if param is group['params'][0] and group['weight_decay'] == 0
    }
    assert free == {
        name
        for name, _ in model.named_parameters()
        if 'norm' in name or 'relative_position_bias_table' in name
    }
    assert any(name.startswith('backbone') for name in free)


def test_deeplabv2_crops(voc_mini):
    cfg = load('deeplabv2_voc')
    pipeline = Compose(cfg.train_dataloader.dataset.dataset.pipeline)
    image = voc_mini.root / 'JPEGImages' / '2007_000001.jpg'
    mask = voc_mini.root / 'SegmentationClass' / '2007_000001.png'
    seen = set()
    for _ in range(60):
        sample = pipeline(
            dict(
                img_path=str(image),
                seg_map_path=str(mask),
                label_map=None,
                reduce_zero_label=False,
                seg_fields=[]))
        seen.add(tuple(sample['inputs'].shape[1:]))
        assert sample['data_samples'].gt_sem_seg.shape in seen
    # 48 x 40 pixels are smaller than a crop: all five scales are seen
    assert seen == {
        tuple(round(edge * ratio) for edge in (48, 40))
        for ratio in (.5, .75, 1, 1.25, 1.5)
    }
    cfg.model.backbone.update(RESNET)
    cfg.model.decode_head.in_channels = 32
    preprocess = MODELS.build(cfg.model.data_preprocessor)
    batch = preprocess(
        dict(inputs=[sample['inputs']], data_samples=[sample['data_samples']]),
        training=True)
    height, width = sample['inputs'].shape[1:]
    target = batch['data_samples'][0].gt_sem_seg.data
    assert batch['inputs'].shape == (1, 3, 321, 321)
    assert target.shape == (1, 321, 321)
    assert not batch['inputs'][..., height:, :].any()
    assert not batch['inputs'][..., width:].any()
    assert (target[:, height:] == 255).all()
    assert (target[..., width:] == 255).all()
