import pytest
import torch
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmlpcam.ops import pixel_adaptive_refine
from mmlpcam.structures import ActivationMaps

SIZE = (20, 24)
LABELS = [(0, 2), ()]


def test_stored_maps_are_refined(tmp_path, mmseg_scope):
    generator = torch.Generator().manual_seed(0)
    samples, stored, images = [], [], []
    for number, present in enumerate(LABELS):
        stored.append(
            ActivationMaps(
                present, [torch.rand(len(present), 5, 6, generator=generator)],
                SIZE, SIZE, 'lpcam'))
        stored[-1].save(tmp_path / f'{number}.npz')
        images.append(
            torch.randint(
                0, 256, (3, *SIZE), generator=generator, dtype=torch.uint8))
        samples.append(SegDataSample(metainfo=dict(image_id=str(number))))
    settings = dict(dilations=(1, 3), num_iters=4)
    model = MODELS.build(
        dict(
            type='PixelAdaptiveRefiner',
            map_dir=str(tmp_path),
            test_cfg=dict(bg_thr=.4, **settings)))
    found = model.predict(images, samples)
    expected = pixel_adaptive_refine(stored[0].full(), images[0], **settings)
    assert torch.equal(found[0].activation.get('par'), expected)
    values = torch.tensor([1, 3])[expected.argmax(0)]
    mask = torch.where(expected.amax(0) > .4, values, 0)
    assert torch.equal(found[0].pred_sem_seg.data[0], mask)
    assert {0, 1, 3} <= set(mask.unique().tolist())
    assert not found[1].pred_sem_seg.data.any()
    assert found[0].scale_maps.source == 'par'


def test_an_unknown_setting(mmseg_scope):
    with pytest.raises(ValueError, match='num_steps'):
        MODELS.build(
            dict(
                type='PixelAdaptiveRefiner',
                map_dir='maps',
                test_cfg=dict(num_steps=3)))


@pytest.mark.parametrize('setting', [
    dict(color_scale=0.),
    dict(position_scale=-1.),
    dict(position_weight=float('nan')),
    dict(num_iters=-1),
    dict(dilations=()),
    dict(dilations=(0, 1)),
    dict(dilations=(1.5, ))
])
def test_settings_out_of_range(setting, mmseg_scope):
    """A scale of 0 makes all scores NaN, and masks empty."""
    with pytest.raises(ValueError, match=f'expected .*{next(iter(setting))}'):
        MODELS.build(dict(type='PixelAdaptiveRefiner', test_cfg=setting))
