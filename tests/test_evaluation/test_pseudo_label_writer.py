import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from mmseg.registry import METRICS
from mmseg.structures import SegDataSample
from PIL import Image

from mmlpcam.evaluation import PseudoLabelWriter
from mmlpcam.structures import ActivationMaps

pytestmark = pytest.mark.filterwarnings('ignore:Default ``avg_non_ignore``')
META = dict(
    classes=('background', 'cat', 'dog'),
    palette=[[0, 0, 0], [128, 0, 0], [0, 128, 250]])
SETTINGS = dict(model='abc', test_cfg=dict(bg_thr=.3, scales=[1., .5]))


def writer(folder, **kwargs):
    made = PseudoLabelWriter(str(folder), **kwargs)
    made.dataset_meta = META
    return made


def sample(image_id, mask, labels=(0, 1), seed=0):
    """A prediction as the evaluator hands it on."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.as_tensor(mask)
    height, width = mask.shape
    return dict(
        image_id=image_id,
        img_labels=labels,
        pred_sem_seg=dict(data=mask[None]),
        scale_maps=ActivationMaps(
            labels=labels,
            scales=[
                torch.rand(
                    len(labels), -(-height // 2), width, generator=generator)
            ],
            size=(height, width),
            extent=(-(-height // 2) * 2, width),
            source='lpcam'),
        map_type='lpcam')


MASK = np.array([[0, 1, 2, 2, 0], [2, 0, 0, 1, 1]])


def files(folder):
    return sorted(
        str(p.relative_to(folder)) for p in folder.rglob('*') if p.is_file())


# --- files ----------------------------------------------------------------


def test_mask_is_a_palette_image(tmp_path):
    made = writer(tmp_path)
    made.open(SETTINGS)
    made.process(None, [sample('a', MASK)])
    with Image.open(tmp_path / 'masks' / 'a.png') as image:
        assert image.format == 'PNG' and image.mode == 'P'
        np.testing.assert_array_equal(image, MASK)
        assert image.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 250]
        colors = np.asarray(image.convert('RGB'))
    np.testing.assert_array_equal(colors, np.array(META['palette'])[MASK])
    assert files(tmp_path) == ['manifest.json', 'masks/a.png']


def test_high_class_numbers_keep_their_value(tmp_path):
    """`convert('P')` of Pillow must not re-quantise."""
    made = writer(tmp_path)
    made.dataset_meta = dict(
        classes=[str(i) for i in range(200)],
        palette=[[i, 0, 255 - i] for i in range(200)])
    mask = np.arange(200).reshape(10, 20)
    made.process(None, [sample('a', mask)])
    with Image.open(tmp_path / 'masks' / 'a.png') as image:
        np.testing.assert_array_equal(image, mask)
        assert image.getpalette()[597:600] == [199, 0, 56]


def test_maps(tmp_path):
    made = writer(tmp_path, save_maps=True)
    one = sample('a', MASK, labels=(1, 0))
    made.process(None, [one])
    maps = ActivationMaps.load(tmp_path / 'maps' / 'a.npz')
    assert maps.labels == (1, 0)
    assert torch.equal(maps.full(), one['scale_maps'].full())
    assert files(tmp_path) == ['maps/a.npz', 'masks/a.png']


def test_image_without_labels(tmp_path):
    made = writer(tmp_path, save_maps=True)
    made.process(None, [sample('a', np.zeros((3, 2), int), labels=())])
    maps = ActivationMaps.load(tmp_path / 'maps' / 'a.npz')
    assert maps.labels == () and maps.full().shape == (0, 3, 2)
    with Image.open(tmp_path / 'masks' / 'a.png') as image:
        assert not np.asarray(image).any()


@pytest.mark.parametrize('map_type', ['cam', 'lpcam_f', 'lpcam'])
def test_maps_are_those_of_the_mask(tmp_path, tiny, map_type):
    """`extra_map_types` are for the metric, not for these files."""
    kinds = {'cam', 'lpcam_f', 'lpcam'}
    model = tiny.build(
        with_bank=True,
        map_type=map_type,
        extra_map_types=sorted(kinds - {map_type}))
    made = writer(tmp_path, save_maps=True)
    made.dataset_meta = dict(
        classes=tiny.classes, palette=[[i, i, i] for i in range(4)])
    image = torch.randn(
        1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    given = SegDataSample(metainfo=dict(img_labels=(0, 2), image_id='a'))
    predicted = model.predict(image, [given])[0]
    made.process(None, [predicted.to_dict()])
    maps = ActivationMaps.load(tmp_path / 'maps' / 'a.npz')
    assert torch.equal(maps.full(), predicted.activation.get(map_type))


def test_extra_maps(tmp_path):
    kinds = dict(save_maps=True, extra_map_types=('cam', 'lpcam_f'))
    made = writer(tmp_path, **kinds)
    made.open(SETTINGS, ['x/a'])
    one = sample('x/a', MASK)
    one['extra_maps'] = {
        name: sample('x/a', MASK, seed=seed)['scale_maps']
        for seed, name in enumerate(('cam', 'lpcam_f', 'other'), 1)
    }
    made.process(None, [one])
    assert files(tmp_path) == [
        'extra_maps/cam/x/a.npz', 'extra_maps/lpcam_f/x/a.npz',
        'manifest.json', 'maps/x/a.npz', 'masks/x/a.png'
    ]
    for name in ('cam', 'lpcam_f'):
        file = tmp_path / 'extra_maps' / name / 'x/a.npz'
        assert torch.equal(
            ActivationMaps.load(file).full(), one['extra_maps'][name].full())
        assert made.missing() == []
        file.write_bytes(file.read_bytes()[:50])
        assert made.missing() == ['x/a']
        assert writer(tmp_path, save_maps=True).is_written('x/a')
        made.process(None, [one])
    with pytest.raises(RuntimeError, match=r'settings \(extra_map_types\)'):
        writer(tmp_path, save_maps=True).open(SETTINGS)
    del one['extra_maps']['cam']
    with pytest.raises(KeyError, match="no 'cam' maps: .*extra_map_types"):
        made.process(None, [one])
    with pytest.raises(ValueError, match='set save_maps=True'):
        writer(tmp_path, extra_map_types=['cam'])


def test_sub_folders(tmp_path):
    made = writer(tmp_path, save_maps=True)
    made.open(SETTINGS)
    made.process(None,
                 [sample('x/y/a', MASK),
                  sample('a', 1 - MASK.clip(0, 1))])
    assert files(tmp_path) == [
        'manifest.json', 'maps/a.npz', 'maps/x/y/a.npz', 'masks/a.png',
        'masks/x/y/a.png'
    ]
    with Image.open(tmp_path / 'masks' / 'x' / 'y' / 'a.png') as image:
        np.testing.assert_array_equal(image, MASK)
    made.compute_metrics(['x/y/a', 'a'])
    assert json.loads(made.manifest_file.read_text())['num_masks'] == 2


def test_dots_in_image_ids(tmp_path):
    made = writer(tmp_path)
    made.process(None, [sample('a.b', MASK), sample('a.c', MASK)])
    assert files(tmp_path) == ['masks/a.b.png', 'masks/a.c.png']


def test_is_written_asks_for_all_files(tmp_path):
    made = writer(tmp_path, save_maps=True)
    assert not made.is_written('x/a')
    made.process(None, [sample('x/a', MASK)])
    assert made.is_written('x/a') and not made.is_written('a')
    assert writer(tmp_path).is_written('x/a')
    (tmp_path / 'maps' / 'x' / 'a.npz').unlink()
    assert not made.is_written('x/a')
    assert writer(tmp_path).is_written('x/a')


def test_failure_leaves_no_half_mask(tmp_path, monkeypatch):
    made = writer(tmp_path)
    made.process(None, [sample('a', MASK)])
    before = (tmp_path / 'masks' / 'a.png').read_bytes()

    def half(self, content):
        with self.open('wb') as file:
            file.write(content[:20])
        raise OSError('No space left on device')

    monkeypatch.setattr(Path, 'write_bytes', half)
    for image_id in ('a', 'b'):
        with pytest.raises(OSError, match='No space'):
            made.process(None, [sample(image_id, 0 * MASK)])
    assert files(tmp_path) == ['masks/a.png']
    assert (tmp_path / 'masks' / 'a.png').read_bytes() == before


def test_threads_write_the_same_files(tmp_path):
    contents = []
    for number in (0, 3):
        folder = tmp_path / str(number)
        made = writer(folder, save_maps=True, num_writers=number)
        made.open(SETTINGS)
        for i in range(50):
            made.process(None, [sample(f'{i}', MASK, seed=i)])
        assert made.evaluate(50) == {'labels/written': 50}
        contents.append(
            {name: (folder / name).read_bytes()
             for name in files(folder)})
    assert len(contents[0]) == 101
    assert contents[0] == contents[1]


def test_a_thread_that_fails_fails_the_run(tmp_path, monkeypatch):
    made = writer(tmp_path, num_writers=2)

    def full(self, path, *args, **kwargs):
        raise OSError('No space left on device')

    monkeypatch.setattr(Image.Image, 'save', full)
    with pytest.raises(OSError, match='No space'):
        made.process(None, [sample('a', MASK)])
        made.evaluate(1)
    assert files(tmp_path) == []


# --- manifest -------------------------------------------------------------


def test_manifest(tmp_path):
    made = writer(tmp_path, save_maps=True)
    made.open(SETTINGS)
    content = json.loads(made.manifest_file.read_text())
    assert content == dict(
        complete=False,
        settings=dict(SETTINGS, save_maps=True, extra_map_types=[]),
        classes=list(META['classes']),
        num_masks=0)
    made.process(None, [sample('a', MASK), sample('x/b', MASK)])
    assert made.evaluate(2) == {'labels/written': 2}
    content = json.loads(made.manifest_file.read_text())
    assert content['complete'] is True and content['num_masks'] == 2


def test_continue_with_the_same_settings(tmp_path):
    """Tuples become lists in the file, which is no other setting."""
    settings = dict(SETTINGS, test_cfg=dict(bg_thr=.3, scales=(1., .5)))
    made = writer(tmp_path)
    made.open(settings)
    made.process(None, [sample('a', MASK)])
    made.compute_metrics(['a'])
    again = writer(tmp_path)
    again.open(settings)
    content = json.loads(again.manifest_file.read_text())
    assert content['complete'] is False and content['num_masks'] == 1
    assert again.is_written('a')


@pytest.mark.parametrize('change, kwargs, names', [
    (dict(model='other'), {}, 'model'),
    (dict(test_cfg=dict(bg_thr=.4, scales=[1., .5])), {}, 'test_cfg'),
    (dict(model='other', more=1), {}, 'model, more'),
    ({}, dict(save_maps=True), 'save_maps'),
])
def test_other_settings_are_refused(tmp_path, change, kwargs, names):
    writer(tmp_path).open(SETTINGS)
    before = (tmp_path / 'manifest.json').read_bytes()
    (tmp_path / '.tmp-x.png').write_text('')
    with pytest.raises(
            RuntimeError,
            match=rf'other settings \({names}\): choose another out_dir'):
        writer(tmp_path, **kwargs).open({**SETTINGS, **change})
    # nothing was touched
    assert files(tmp_path) == ['.tmp-x.png', 'manifest.json']
    assert (tmp_path / 'manifest.json').read_bytes() == before


def test_broken_manifest(tmp_path):
    made = writer(tmp_path)
    made.manifest_file.write_text('{')
    with pytest.raises(ValueError, match=r'manifest\.json is no valid JSON'):
        made.open(SETTINGS)


@pytest.mark.parametrize('content', [
    '{}', '[]', '5', 'null', '{"complete": 1, "settings": {}}',
    '{"complete": true, "settings": [], "classes": [], "num_masks": 0}'
])
def test_manifest_of_another_shape(tmp_path, content):
    made = writer(tmp_path)
    made.manifest_file.write_text(content)
    with pytest.raises(ValueError, match=r'manifest\.json is no manifest of'):
        made.open(SETTINGS)
    assert made.manifest_file.read_text() == content


@pytest.mark.parametrize('name', ['masks/b.png', 'maps/b.npz'])
@pytest.mark.parametrize('left', [None, 0, 8, -1])
def test_complete_is_counted(tmp_path, name, left):
    """A file that vanishes, or is cut, while others are written."""
    made = writer(tmp_path, save_maps=True)
    made.open(SETTINGS, ['a', 'b', 'a'])
    made.process(None, [sample('a', MASK), sample('b', MASK)])
    assert made.missing() == []
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).unlink()
    if left is not None:
        (tmp_path / name).write_bytes(content[:left])
    assert made.missing() == ['b']
    made.compute_metrics(['a', 'b'])
    assert json.loads(made.manifest_file.read_text())['complete'] is False
    (tmp_path / name).write_bytes(content)
    made.compute_metrics(['b'])
    assert json.loads(made.manifest_file.read_text())['complete'] is True


def test_leftovers_are_removed(tmp_path):
    made = writer(tmp_path, save_maps=True)
    made.process(None, [sample('x/a', MASK)])
    for name in ('.tmp-1.json', 'masks/.tmp-2.png', 'maps/x/.tmp-3.npz'):
        (tmp_path / name).write_text('half')
    made.open(SETTINGS)
    assert files(tmp_path) == [
        'manifest.json', 'maps/x/a.npz', 'masks/x/a.png'
    ]


def test_written_counts_images_once(tmp_path):
    made = writer(tmp_path)
    made.open(SETTINGS)
    assert made.compute_metrics(['a', 'b', 'a']) == dict(written=2)


# --- errors ---------------------------------------------------------------


def test_folder_is_a_file(tmp_path):
    (tmp_path / 'a').write_text('')
    for folder in (tmp_path / 'a', tmp_path / 'a' / 'labels'):
        with pytest.raises(PermissionError, match=f'cannot write to {folder}'):
            writer(folder)


def test_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip('this user ignores permissions')
        with pytest.raises(PermissionError, match='cannot write to'):
            writer(tmp_path / 'labels')
    finally:
        tmp_path.chmod(0o700)


def test_registered(tmp_path):
    made = METRICS.build(
        dict(type='PseudoLabelWriter', out_dir=str(tmp_path / 'a' / 'b')))
    assert made.save_maps is False and (tmp_path / 'a' / 'b').is_dir()


def test_predictions_of_other_data_sets_are_named_by_the_image(tmp_path):
    writer = PseudoLabelWriter(str(tmp_path))
    writer.dataset_meta = dict(
        classes=('background', 'a'), palette=[[0, 0, 0], [9, 9, 9]])
    writer.process(None, [
        dict(
            img_path='/photos/one.jpg',
            pred_sem_seg=dict(data=torch.ones(1, 2, 2, dtype=torch.int64)))
    ])
    assert np.asarray(Image.open(tmp_path / 'masks' / 'one.png')).sum() == 4
