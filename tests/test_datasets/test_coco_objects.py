import json
import random
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmseg.datasets import PascalVOCDataset
from mmseg.registry import DATASETS
from PIL import Image

from mmlpcam.datasets import COCOObjectsDataset
from mmlpcam.datasets.coco_objects import (CATEGORY_IDS, CATEGORY_TO_CLASS,
                                           CLASSES)
from mmlpcam.utils.masks import read_index_mask, voc_colormap, write_index_mask

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
STEMS = {
    'train2014': ['COCO_train2014_000000000009', 'COCO_train2014_00000000001'],
    'val2014': ['COCO_val2014_000000000042'],
    'train2017': ['000000000009', '000000000030', '000000000034'],
    'val2017': ['000000000139'],
}
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')
]


@pytest.fixture
def coco(tmp_path, mmseg_scope):
    """Photos and masks of both years; each shows a toothbrush, id 90."""
    root = tmp_path / 'data' / 'coco'
    for split, stems in STEMS.items():
        (root / split).mkdir(parents=True)
        for i, stem in enumerate(stems):
            size = (20 + i, 30)
            Image.fromarray(np.full(
                (*size, 3), 99, np.uint8)).save(root / split / f'{stem}.jpg')
            mask = np.zeros(size, np.uint8)
            mask[:5] = 80
            write_index_mask(root / 'masks' / split / f'{stem}.png', mask)
        (root / 'annotations').mkdir(exist_ok=True)
        content = dict(
            images=[
                dict(id=i, file_name=f'{stem}.jpg')
                for i, stem in enumerate(stems)
            ],
            annotations=[
                dict(id=i, image_id=i, category_id=90, iscrowd=0)
                for i, _ in enumerate(stems)
            ],
            categories=[dict(id=90, name='toothbrush')])
        (root / 'annotations' / f'instances_{split}.json').write_text(
            json.dumps(content))
    return root


# --- classes and colours --------------------------------------------------


def test_categories_are_numbered_by_ascending_id(coco_mini):
    assert len(CLASSES) == 81 and CLASSES[0] == 'background'
    assert len(CATEGORY_IDS) == 80
    file = coco_mini / 'annotations' / 'instances_train2017.json'
    categories = json.loads(file.read_text())['categories']
    in_order = sorted(categories, key=lambda category: category['id'])
    assert [item['id'] for item in in_order] == list(CATEGORY_IDS)
    assert [item['name'] for item in in_order] == list(CLASSES[1:])
    assert CATEGORY_TO_CLASS[1] == 1
    assert CATEGORY_TO_CLASS[13] == 12  # there is no id 12
    assert CATEGORY_TO_CLASS[90] == 80
    assert 91 not in CATEGORY_TO_CLASS and 12 not in CATEGORY_TO_CLASS


def test_palette_is_the_one_of_pascal_voc():
    assert voc_colormap(21) == PascalVOCDataset.METAINFO['palette']
    assert voc_colormap()[255] == [224, 224, 192]  # VOC's ignored pixels
    assert len(set(map(tuple, voc_colormap()))) == 256
    assert COCOObjectsDataset.METAINFO['palette'] == voc_colormap()[:81]


# --- mask files -----------------------------------------------------------


def test_mask_files_keep_indices_and_have_colors(tmp_path):
    mask = np.arange(256, dtype=np.uint8).reshape(4, 64)
    path = tmp_path / 'new' / 'mask.png'
    write_index_mask(path, mask)
    np.testing.assert_array_equal(read_index_mask(path), mask)
    with Image.open(path) as image:
        assert image.mode == 'P' and image.size == (64, 4)
        rgb = np.array(image.convert('RGB'))
    assert rgb.reshape(-1, 3).tolist() == voc_colormap()
    assert [file.name for file in path.parent.iterdir()] == ['mask.png']


def test_what_is_no_index_mask_is_named(tmp_path):
    path = tmp_path / 'mask.png'
    with pytest.raises(FileNotFoundError):
        read_index_mask(path)
    path.write_bytes(b'\x89PNG\r\n\x1a\nrest')
    with pytest.raises(ValueError, match=r'mask\.png is no valid index mask'):
        read_index_mask(path)
    Image.new('RGB', (3, 2)).save(path)
    with pytest.raises(ValueError, match=r'mode is RGB: is it a colour image'):
        read_index_mask(path)


# --- the dataset ----------------------------------------------------------


@pytest.mark.parametrize('split', STEMS)
def test_dataset_takes_both_kinds_of_names(coco, split):
    dataset = DATASETS.build(
        dict(
            type='COCOObjectsDataset',
            data_root=str(coco),
            data_prefix=dict(img_path=split, seg_map_path=f'masks/{split}'),
            pipeline=PIPELINE))
    assert dataset.metainfo['classes'] == CLASSES
    assert [
        Path(dataset.get_data_info(i)['img_path']).stem
        for i in range(len(dataset))
    ] == sorted(STEMS[split])
    sample = dataset[0]['data_samples']
    assert sample.gt_sem_seg.data[0].unique().tolist() == [0, 80]


def test_dataset_takes_a_list(coco):
    (coco / 'some.txt').write_text('000000000034\n000000000009\n')
    dataset = COCOObjectsDataset(
        dict(img_path='train2017'), ann_file='some.txt', data_root=str(coco))
    paths = [dataset.get_data_info(i)['img_path'] for i in range(2)]
    assert [Path(path).stem
            for path in paths] == ['000000000034', '000000000009']
    assert 'seg_map_path' not in dataset.get_data_info(0)


@pytest.mark.parametrize('kwargs, message', [
    (dict(data_prefix=dict(img_path='train2015')),
     '`img_path` of COCOObjectsDataset .*train2015.*cocodataset.org'),
    (dict(data_prefix=dict(img_path='val2017', seg_map_path='masks/x')),
     '`seg_map_path`.*masks/x.*dataset_converters/coco_objects.py'),
    (dict(data_prefix=dict(img_path='val2017'),
          ann_file='none.txt'), '`ann_file`.*none.txt'),
])
def test_dataset_names_what_is_missing(coco, kwargs, message):
    with pytest.raises(FileNotFoundError, match=message):
        COCOObjectsDataset(data_root=str(coco), **kwargs)


# --- the configs ----------------------------------------------------------


@pytest.mark.parametrize('year', ['2014', '2017'])
def test_configs_build_on_a_small_coco(coco, monkeypatch, year):
    monkeypatch.chdir(coco.parents[1])
    monkeypatch.setenv('COCO_YEAR', year)
    cfg = Config.fromfile(str(CONFIGS / 'lpcam/cam_r50_coco.py'))
    num_train = len(STEMS[f'train{year}'])
    for loader, has_mask in ((cfg.train_dataloader,
                              False), (cfg.label_dataloader, False),
                             (cfg.test_dataloader, True)):
        dataset = DATASETS.build(loader.dataset)
        assert len(dataset) == num_train
        sample = dataset[0]['data_samples']
        assert sample.img_labels == (79, )
        assert ('gt_sem_seg' in sample) == has_mask
    assert cfg.prototype_dataset == cfg.label_dataloader.dataset
    assert year in cfg.test_evaluator.split

    cfg = Config.fromfile(str(CONFIGS / 'lpcam/deeplabv3_coco.py'))
    assert cfg.test_dataloader == cfg.val_dataloader
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    assert len(dataset) == 1
    assert 'gt_sem_seg' in dataset[0]['data_samples']
    cfg.train_dataloader.dataset.label_dir = f'data/coco/masks/train{year}'
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    assert len(dataset) == num_train
    np.random.seed(0)  # noqa: NPY002, a crop may miss the object
    random.seed(0)
    mask = dataset[0]['data_samples'].gt_sem_seg.data
    assert mask.unique().tolist() in ([0, 80], [0, 80, 255])


def test_the_year_of_the_paper_is_the_default(monkeypatch):
    monkeypatch.delenv('COCO_YEAR', raising=False)
    for name in ('lpcam/cam_r50', 'lpcam/deeplabv3', 'irn/deeplabv2'):
        cfg = Config.fromfile(str(CONFIGS / f'{name}_coco.py'))
        dataset = cfg.train_dataloader.dataset.dataset
        assert dataset.data_prefix == dict(img_path='train2014')
        # nothing of VOC is left
        assert 'VOC' not in cfg.pretty_text
