"""Segmentors as ONNX files."""
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from PIL import Image

from mmlpcam.apis.onnx_export import (ExportedSegmentor, compare_onnx,
                                      export_onnx)
from mmlpcam.utils import write_checkpoint

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'export_onnx.py'


def build(tiny, **model):
    cfg = tiny.cfg()
    cfg.update(
        type='EncoderDecoder',
        decode_head=dict(
            type='ASPPHead',
            in_channels=tiny.channels,
            channels=8,
            dilations=(1, 3),
            num_classes=4),
        test_cfg=dict(mode='whole'))
    cfg.update(model)
    torch.manual_seed(0)
    return MODELS.build(cfg).eval(), Config(dict(model=cfg))


@pytest.mark.parametrize('bgr_to_rgb', [True, False])
def test_takes_the_pixels_of_photos(tiny, bgr_to_rgb):
    preprocessor = dict(
        type='SegDataPreProcessor',
        mean=[10., 20., 30.],
        std=[1., 2., 3.],
        bgr_to_rgb=bgr_to_rgb)
    model, cfg = build(tiny, data_preprocessor=preprocessor)
    bgr = torch.randint(0, 256, (3, 40, 56), dtype=torch.uint8)
    with torch.no_grad():
        inputs = model.data_preprocessor(dict(inputs=[bgr]))['inputs']
        expected = model.encode_decode(inputs, [dict(img_shape=(40, 56))])
        found = ExportedSegmentor(model, cfg)(bgr.float().flip(0)[None])
    assert found.shape == (1, 4, 40, 56)
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize('model, message', [
    (dict(test_cfg=dict(mode='slide', crop_size=(8, 8), stride=(8, 8))),
     "mode='slide'.*set model.test_cfg"),
    (dict(type='CAMSegmentor', test_cfg={}), 'got a CAMSegmentor'),
])
def test_what_is_not_exported(tiny, model, message):
    if model.get('type') == 'CAMSegmentor':
        model['decode_head'] = tiny.cfg()['decode_head']
    with pytest.raises(ValueError, match=message):
        ExportedSegmentor(*build(tiny, **model))


def test_package_that_is_missing(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnx', None)
    exported = ExportedSegmentor(*build(tiny))
    with pytest.raises(ImportError, match='pip install onnx'):
        export_onnx(exported, torch.rand(1, 3, 48, 64), tmp_path / 'a.onnx')


@pytest.mark.parametrize(
    'model', [dict(), dict(type='MultiScaleSegmentor', scales=(0.5, ))])
def test_file_does_what_the_segmentor_does(tiny, tmp_path, model):
    pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    exported = ExportedSegmentor(*build(tiny, **model)).eval()
    path = tmp_path / 'model.onnx'
    export_onnx(exported, torch.rand(1, 3, 48, 64) * 255, path)
    # other numbers and sizes of photos than it was traced with
    for size in ((1, 3, 48, 64), (2, 3, 64, 32), (1, 3, 51, 43)):
        difference, same = compare_onnx(exported,
                                        torch.rand(*size) * 255, path)
        assert difference < 1e-3 and same > .999
    assert [path] == list(tmp_path.iterdir())


def test_tool(tiny, voc_mini, tmp_path, monkeypatch, capsys):
    pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    model, cfg = build(tiny)
    cfg.test_pipeline = [
        dict(type='LoadPhoto'),
        dict(type='Resize', scale=(96, 48), keep_ratio=True),
        dict(type='PackSegInputs')
    ]
    cfg.dump(tmp_path / 'segmentor.py')
    meta = dict(dataset_meta=voc_mini.metainfo)
    write_checkpoint(
        dict(state_dict=model.state_dict(), meta=meta), tmp_path / 'a.pth')
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (64, 80, 3),
                                 np.uint8)).save(tmp_path / 'a.png')
    monkeypatch.chdir(tmp_path)
    args = ['export_onnx', 'segmentor.py', 'a.pth', 'a.png']
    main = runpy.run_path(str(TOOL))['main']
    monkeypatch.setattr(sys, 'argv', [*args, 'a.onnx', '--fixed-size'])
    assert main() == 0
    printed = capsys.readouterr().out
    assert 'classes background, cat, dog, bird' in printed
    assert 'checked on a.png at (48, 60)' in printed
    assert '100.000 % of the pixels' in printed
    monkeypatch.setattr(
        sys, 'argv',
        [*args, 'b.onnx', '--cfg-options', 'model.test_cfg.mode=slide'])
    assert main() == 1
    assert "mode='slide'" in capsys.readouterr().err
    assert not (tmp_path / 'b.onnx').exists()
