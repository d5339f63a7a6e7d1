import numpy as np
import pytest
import torch
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from PIL import Image

from mmlpcam.structures import ActivationMaps

SIZE = (20, 24)
LABELS = [(0, 2), (1, ), ()]


@pytest.fixture
def stored(tmp_path, mmseg_scope):
    """A model, saliency and samples of three images."""
    generator = torch.Generator().manual_seed(0)
    rng = np.random.default_rng(0)
    samples, maps, saliency = [], [], []
    for number, present in enumerate(LABELS):
        maps.append(
            ActivationMaps(
                present, [torch.rand(len(present), 5, 6, generator=generator)],
                SIZE, SIZE, 'lpcam'))
        maps[-1].save(tmp_path / f'maps/{number}.npz')
        saliency.append(rng.integers(0, 256, SIZE).astype(np.uint8))
        (tmp_path / 'saliency').mkdir(exist_ok=True)
        Image.fromarray(saliency[-1]).save(tmp_path / f'saliency/{number}.png')
        samples.append(SegDataSample(metainfo=dict(image_id=str(number))))
    model = MODELS.build(
        dict(
            type='SaliencyRefiner',
            map_dir=str(tmp_path / 'maps'),
            saliency_dir=str(tmp_path / 'saliency')))
    return model, samples, maps, saliency


def images():
    return [torch.zeros(3, *SIZE, dtype=torch.uint8) for _ in LABELS]


def test_the_background_scores_one_minus_saliency(stored):
    model, samples, maps, saliency = stored
    for each, sample, grey in zip(maps, model.predict(images(), samples),
                                  saliency):
        planes = torch.zeros(4, *SIZE, dtype=torch.float64)
        planes[0] = 1 - torch.from_numpy(grey).double() / 255
        planes[[label + 1 for label in each.labels]] = each.full().double()
        found = sample.pred_sem_seg.data[0]
        # where it is not a matter of rounding
        best = planes.topk(2, 0).values
        clear = best[0] - best[1] > 1e-5
        assert torch.equal(found[clear], planes.argmax(0)[clear])
        assert clear.float().mean() > .99
        assert sample.scale_maps.source == 'saliency'
        assert sample.scale_maps.labels == each.labels
    assert {*found.unique().tolist()} == {0}  # no label, no class


def bad(path, kind):
    grey = np.full(SIZE, 200, np.uint8)
    if kind == 'colour':
        grey = np.stack([grey] * 3, 2)
    elif kind == 'size':
        grey = grey[1:]
    elif kind == 'zero-one':
        grey = (grey > 0).astype(np.uint8)
    elif kind == '16 bits':
        grey = grey.astype(np.uint16)
    image = Image.fromarray(grey)
    if kind == 'palette':
        image = image.convert('P')
    path.unlink()
    if kind != 'missing':
        image.save(path)
    if kind == 'damaged':
        path.write_bytes(path.read_bytes()[:40])


@pytest.mark.parametrize('kind, text', [
    ('colour', 'expected one channel'),
    ('palette', 'its mode is P'),
    ('16 bits', 'its mode is I;16'),
    ('zero-one', 'a mask of 0 and 1'),
    ('size', r'is \(19, 24\) \(H, W\), but the image is \(20, 24\)'),
    ('damaged', 'no valid grey map'),
    ('missing', 'No such file'),
])
def test_bad_saliency(stored, tmp_path, kind, text):
    model, samples, _, _ = stored
    bad(tmp_path / 'saliency/1.png', kind)
    error = FileNotFoundError if kind == 'missing' else ValueError
    with pytest.raises(error, match=text) as raised:
        model.predict(images(), samples)
    assert 'saliency/1.png' in str(raised.value)
