"""Stored maps give what the model gave that made them."""
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmseg.registry import DATASETS, MODELS

from mmlpcam.evaluation import CAMIoUMetric, PseudoLabelWriter
from mmlpcam.models import StoredMaps
from mmlpcam.ops import otsu_thresholds
from mmlpcam.utils import read_json

KINDS = ('cam', 'lpcam', 'lpcam_f')


@pytest.fixture
def stored(tiny, voc_mini, tmp_path):
    """Samples, what a model predicts of them, and a folder of its maps."""
    dataset = DATASETS.build(voc_mini.dataset(with_masks=True))
    model = tiny.build(with_bank=True, extra_map_types=('cam', 'lpcam_f'))
    writer = PseudoLabelWriter(
        str(tmp_path), save_maps=True, extra_map_types=('cam', 'lpcam_f'))
    writer.dataset_meta = dataset.metainfo
    predicted = []
    for sample in dataset:
        predicted += model.test_step(pseudo_collate([sample]))
        writer.process(None, [predicted[-1].to_dict()])
    return dataset, predicted, tmp_path


def cfg_of(folder, **kwargs):
    return dict(
        type='StoredMaps',
        map_dir=str(folder / 'maps'),
        extra_map_dirs={
            name: str(folder / 'extra_maps' / name)
            for name in ('cam', 'lpcam_f')
        },
        **kwargs)


def test_the_prediction_of_the_model(stored):
    dataset, predicted, folder = stored
    model = MODELS.build(cfg_of(folder))
    found = model.test_step(pseudo_collate([dataset[i] for i in range(6)]))
    assert len(found) == len(predicted) == 6
    for one, other in zip(found, predicted):
        assert one.map_type == other.map_type == 'lpcam'
        assert one.img_labels == other.img_labels
        assert set(one.activation.keys()) == set(KINDS)
        for kind in KINDS:
            assert torch.equal(
                one.activation.get(kind), other.activation.get(kind)), kind
        assert torch.equal(one.pred_sem_seg.data, other.pred_sem_seg.data)
        assert torch.equal(one.gt_sem_seg.data, other.gt_sem_seg.data)
    assert sum(one.pred_sem_seg.data.any() for one in found) >= 4


def test_the_scores_of_the_model(stored):
    dataset, predicted, folder = stored
    model = MODELS.build(cfg_of(folder))
    again = [model.test_step(pseudo_collate([s]))[0] for s in dataset]
    for name, samples in (('direct', predicted), ('stored', again)):
        metric = CAMIoUMetric(out_file=str(folder / f'{name}.json'))
        metric.dataset_meta = dataset.metainfo
        for sample in samples:
            metric.process(None, [sample.to_dict()])
        metric.evaluate(len(samples))
    direct = read_json(folder / 'direct.json')
    assert direct == read_json(folder / 'stored.json')
    assert set(direct['maps']) == set(KINDS)
    assert len({direct['maps'][kind]['mIoU'] for kind in KINDS}) > 1


def test_masks_at_a_threshold_of_each_image(stored):
    """'otsu' is the threshold that separates the scores of an image."""
    dataset, _, folder = stored
    model = MODELS.build(cfg_of(folder, test_cfg=dict(bg_thr='otsu')))
    used = set()
    for sample in dataset:
        found, = model.test_step(pseudo_collate([sample]))
        maps = found.activation.get('lpcam')
        mask = found.pred_sem_seg.data[0]
        if not len(maps):
            assert not mask.any()
            continue
        threshold, = otsu_thresholds(maps.amax(0))
        assert torch.equal(mask > 0, maps.amax(0) > threshold)
        used.add(threshold)
    assert len(used) > 1


@pytest.mark.parametrize('bg_thr', ['ostu', 1.5, -0.1, None, float('nan')])
def test_no_threshold(bg_thr, tmp_path):
    with pytest.raises(ValueError, match='test_cfg.bg_thr.* in .0, 1.'):
        MODELS.build(cfg_of(tmp_path, test_cfg=dict(bg_thr=bg_thr)))


def test_masks_at_another_threshold(stored, tiny):
    dataset, _, folder = stored
    model = MODELS.build(cfg_of(folder, test_cfg=dict(bg_thr=.6)))
    direct = tiny.build(with_bank=True, bg_thr=.6)
    assert model.test_cfg == dict(bg_thr=.6)
    default = MODELS.build(cfg_of(folder))
    assert default.test_cfg == dict(bg_thr=.3)
    differ = 0
    for sample in dataset:
        one, = model.test_step(pseudo_collate([sample]))
        two, = direct.test_step(pseudo_collate([sample]))
        assert torch.equal(one.pred_sem_seg.data, two.pred_sem_seg.data)
        three, = default.test_step(pseudo_collate([sample]))
        differ += not torch.equal(one.pred_sem_seg.data,
                                  three.pred_sem_seg.data)
    assert differ


def test_images_that_were_resized(stored, tiny, voc_mini):
    """Maps of a smaller image are fitted to the original one."""
    _, _, folder = stored
    cfg = voc_mini.dataset(with_masks=True)
    cfg['dataset']['pipeline'].insert(
        1, dict(type='Resize', scale=(32, 32), keep_ratio=True))
    dataset = DATASETS.build(cfg)
    with pytest.raises(ValueError, match='from images of one size'):
        MODELS.build(cfg_of(folder)).test_step(pseudo_collate([dataset[0]]))
    made = tiny.build(map_type='cam')
    writer = PseudoLabelWriter(str(folder / 'small'), save_maps=True)
    writer.dataset_meta = dataset.metainfo
    model = StoredMaps(map_dir=str(folder / 'small' / 'maps'))
    for sample in dataset:
        direct, = made.test_step(pseudo_collate([sample]))
        writer.process(None, [direct.to_dict()])
        found, = model.test_step(pseudo_collate([sample]))
        assert found.activation.cam.shape[1:] == direct.ori_shape
        assert torch.equal(found.activation.cam, direct.activation.cam)


def test_missing_maps_are_named(stored):
    dataset, _, folder = stored
    model = MODELS.build(cfg_of(folder))
    file = folder / 'extra_maps/cam/more/2008_000005.npz'
    file.unlink()
    with pytest.raises(FileNotFoundError, match=f'{file} does not exist'):
        model.test_step(pseudo_collate([dataset[4]]))


def test_what_it_does_not_do(stored):
    _, _, folder = stored
    with pytest.raises(ValueError, match="unknown keys .'scales'."):
        MODELS.build(cfg_of(folder, test_cfg=dict(scales=(1, ))))
    with pytest.raises(ValueError, match='nothing to train'):
        MODELS.build(cfg_of(folder))([], [], mode='loss')
