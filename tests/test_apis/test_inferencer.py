"""Photos in, masks and maps out."""
import re

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from PIL import Image

from mmlpcam.apis import LPCAMInferencer, find_photos
from mmlpcam.datasets import VOCXMLLabels
from mmlpcam.structures import ActivationMaps
from mmlpcam.utils import write_checkpoint
from mmlpcam.utils.masks import read_index_mask
from mmlpcam.utils.photos import read_photo

PIPELINE = [
    dict(type='LoadPhoto'),
    dict(type='Resize', scale=(96, 48), keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')
]


def save(model, path, voc_mini):
    meta = dict(dataset_meta=voc_mini.metainfo)
    write_checkpoint(dict(state_dict=model.state_dict(), meta=meta), path)


@pytest.fixture
def classifier(tiny, voc_mini, tmp_path):
    save(tiny.build(with_bank=True), tmp_path / 'cam.pth', voc_mini)
    cfg = Config(dict(model=tiny.cfg(bg_thr=0.3), test_pipeline=PIPELINE))
    return LPCAMInferencer(cfg, tmp_path / 'cam.pth', 'cpu')


@pytest.fixture
def segmentor(tiny, voc_mini, tmp_path):
    cfg = tiny.cfg()
    cfg.update(
        type='EncoderDecoder',
        decode_head=dict(
            type='FCNHead',
            in_channels=tiny.channels,
            channels=4,
            num_convs=1,
            num_classes=4),
        test_cfg=dict(mode='whole'))
    torch.manual_seed(0)
    save(MODELS.build(cfg), tmp_path / 'seg.pth', voc_mini)
    return LPCAMInferencer(
        Config(dict(model=cfg, test_pipeline=PIPELINE)), tmp_path / 'seg.pth',
        'cpu')


def spoil(voc_mini):
    """Cut the second photo, and return all of them with the folder."""
    folder = voc_mini.root / 'JPEGImages'
    path = folder / '2007_000002.jpg'
    path.write_bytes(path.read_bytes()[:200])
    return folder


def test_a_bad_photo_ends_nothing(classifier, voc_mini, tmp_path):
    source = VOCXMLLabels(str(voc_mini.root / 'Annotations'))
    out = tmp_path / 'out'
    results = classifier(
        str(spoil(voc_mini)),
        batch_size=4,
        return_vis=True,
        out_dir=out,
        tags=source)
    assert results['failed'].keys() == {'2007_000002'}
    assert '2007_000002.jpg' in results['failed']['2007_000002']
    assert results['predictions'][1] is results['maps'][1] is None
    assert results['visualization'][1] is None
    for name, size, labels, mask, maps in zip(voc_mini.image_ids,
                                              voc_mini.sizes, voc_mini.indices,
                                              results['predictions'],
                                              results['maps']):
        files = [
            out / folder / f'{name}{suffix}'
            for folder, suffix in (('masks', '.png'), ('pictures', '.jpg'),
                                   ('maps', '.npz'))
        ]
        if mask is None:
            assert not any(file.exists() for file in files)
            continue
        assert mask.shape == size and maps.labels == labels
        assert {*np.unique(mask)} <= {0, *(i + 1 for i in labels)}
        assert np.array_equal(read_index_mask(files[0]), mask)
        assert Image.open(files[1]).size == size[::-1]
        stored = ActivationMaps.load(files[2])
        assert torch.equal(stored.full(), maps.full())


def test_batches_and_arrays_make_no_difference(classifier, voc_mini):
    photo = read_photo(voc_mini.root / 'JPEGImages/2007_000003.jpg')
    photos = [photo, photo[:40], photo[:, ::-1].copy(), photo]
    tags = [['cat', 'dog'], ['cat'], ['dog'], []]
    one, four = (
        classifier(
            photos, batch_size=size, tags=tags, return_datasamples=True)
        for size in (1, 4))
    assert [s.image_id for s in four] == [f'{i:08d}' for i in range(4)]
    for a, b in zip(one, four):
        assert a.img_labels == b.img_labels
        assert torch.allclose(
            a.activation.lpcam, b.activation.lpcam, atol=1e-5)
    assert not four[3].pred_sem_seg.data.any()  # no tags: background
    alone = classifier(photo, tags=[['cat', 'dog']])
    assert np.array_equal(alone['predictions'],
                          one[0].pred_sem_seg.data[0].numpy())


def test_photos_with_and_without_tags_in_a_batch(classifier, voc_mini):
    photo = read_photo(voc_mini.root / 'JPEGImages/2007_000003.jpg')
    found = classifier(photo)['maps'].labels  # what the classifier sees
    other = next(i for i in range(3) if (i, ) != found)
    results = classifier([photo, photo, photo],
                         batch_size=3,
                         tags={'00000001': [classifier.classes[other + 1]]})
    assert [maps.labels
            for maps in results['maps']] == [found, (other, ), found]


@pytest.mark.parametrize('tags, error, message', [
    ([['cat'], ['cow']], ValueError, "tags of 'b': unknown class 'cow'"),
    ([['cat']], ValueError, 'tags for each of 2 photos'),
    (dict(c=['cat']), ValueError, "'c' is none of the 2 photos"),
    (dict(a='cat'), TypeError, 'list of class names'),
])
def test_tags_that_do_not_fit(classifier, tmp_path, tags, error, message):
    for name in 'ab':
        Image.new('RGB', (40, 40)).save(tmp_path / f'{name}.png')
    with pytest.raises(error, match=message):
        classifier([tmp_path / 'a.png', tmp_path / 'b.png'], tags=tags)


def test_segmentor(segmentor, voc_mini):
    results = segmentor(spoil(voc_mini), batch_size=2)
    assert results.keys() == {'predictions', 'failed'}
    shapes = [m is not None and m.shape for m in results['predictions']]
    assert shapes == [voc_mini.sizes[0], False, *voc_mini.sizes[2:]]
    with pytest.raises(ValueError, match='tags are for a classifier'):
        segmentor(spoil(voc_mini), tags={'2007_000001': ['cat']})


def test_weights_that_do_not_fit(tiny, voc_mini, tmp_path):
    cfg = Config(dict(model=tiny.cfg(), test_pipeline=PIPELINE))
    save(tiny.build(), tmp_path / 'empty.pth', voc_mini)
    with pytest.raises(ValueError, match=r"no prototypes.*map_type='cam'"):
        LPCAMInferencer(cfg, tmp_path / 'empty.pth', 'cpu')
    write_checkpoint(
        dict(state_dict=tiny.build().state_dict()), tmp_path / 'bare.pth')
    with pytest.raises(ValueError, match='for what classes'):
        LPCAMInferencer(cfg, tmp_path / 'bare.pth', 'cpu')
    with pytest.raises(ValueError, match='no `test_pipeline`'):
        LPCAMInferencer(Config(dict(model=tiny.cfg())), 'no.pth', 'cpu')


def test_names_of_photos(tmp_path):
    for name in ('a/1.jpg', 'a/v1.5.png', 'b/1.png', 'a/1.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new('RGB', (8, 8)).save(tmp_path / name)

    def names(*files):
        return [p.name for p in find_photos([tmp_path / f for f in files])]

    assert names('a/1.jpg', 'a/v1.5.png') == ['1', 'v1.5']
    assert names('a/1.jpg', 'b/1.png') == ['a/1', 'b/1']
    assert [p.name for p in find_photos(str(tmp_path / 'b'))] == ['1']
    with pytest.raises(ValueError, match="two photos have the name '1'"):
        names('a/1.jpg', 'a/1.png')
    with pytest.raises(ValueError, match='empty list'):
        find_photos([])
    with pytest.raises(TypeError, match='got int'):
        find_photos([3])
    bad, = find_photos(np.zeros((4, 4)))
    with pytest.raises(ValueError, match=re.escape('float64 of shape (4, 4)')):
        bad.read()


def test_results_are_no_photos_of_the_next_run(segmentor, tmp_path):
    """Also where they lie in the folder of the photos."""
    for name in ('a', 'masks/b', 'run/c'):
        path = tmp_path / f'photos/{name}.jpg'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (20, 10)).save(path)
    out = tmp_path / 'photos/run'
    for _ in range(2):
        results = segmentor(tmp_path / 'photos', out_dir=out)
        assert len(results['predictions']) == 3
    assert len([*out.rglob('*.png')]) == 3
    with pytest.raises(ValueError, match='a folder of their own'):
        segmentor(tmp_path / 'photos', out_dir=tmp_path / 'photos/run/..')


@pytest.mark.parametrize('device', ['nonsense', 'cuda:99'])
def test_device_that_is_not_there(segmentor, tmp_path, device):
    with pytest.raises(ValueError, match=f"but got '{device}': "):
        LPCAMInferencer(segmentor.cfg, tmp_path / 'seg.pth', device)


@pytest.mark.parametrize('options, expected', [
    ({
        'test_pipeline.1.type': 'Resizee'
    }, 'test_pipeline: .*Resizee'),
    ({
        'test_pipeline.1.sale': 3
    }, 'test_pipeline: .*sale'),
    ({
        'model.decode_head.typ': 3
    }, 'model: .*typ'),
    ({
        'model.backbone.type': 'ResNext'
    }, 'model: .*ResNext'),
])
def test_typing_error_in_a_config(segmentor, tmp_path, options, expected):
    cfg = segmentor.cfg.copy()
    cfg.merge_from_dict(options)
    with pytest.raises(ValueError, match=expected):
        LPCAMInferencer(cfg, tmp_path / 'seg.pth', 'cpu')
