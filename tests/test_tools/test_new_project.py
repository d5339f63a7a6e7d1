"""Projects of photos and tags, as the command line makes them."""
import argparse
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import DATASETS, HOOKS, MODELS
from PIL import Image

from mmlpcam.converters.photo_project import classifier_epochs
from mmlpcam.datasets import check_files
from mmlpcam.engine import StagedRunner
from mmlpcam.models import CRFTTAModel
from mmlpcam.utils.masks import read_index_mask

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'new_project.py'
TOOL_NAMES = runpy.run_path(str(TOOL))
CLASSES = ('cat', 'dog', 'guinea pig')


class Photos:
    """Twelve photos, of which a table tags ten; masks for four."""

    def __init__(self, root):
        self.root = root
        self.rows = ['photo,tags']
        for index in range(12):
            name = f'{"trip/" if index % 2 else ""}p{index:02d}'
            self.write(f'photos/{name}.jpg', np.zeros((20, 24, 3)))
            if index < 10:  # p09 shows no class
                tags = [CLASSES[index % 3]] if index < 9 else []
                self.rows.append(f'{name}.jpg,{";".join(tags)}')
            if index < 4:
                self.write(f'masks/{name}.png', np.full((20, 24),
                                                        index % 3 + 1))
        self.save(self.rows)

    def write(self, name, array):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.uint8(array)).save(path)

    def save(self, rows):
        (self.root / 'tags.csv').write_text('\n'.join(rows))

    def ids(self, split):
        return (self.root / f'project/{split}.txt').read_text().splitlines()

    def config(self, name='segmentor'):
        return Config.fromfile(str(self.root / f'project/{name}.py'))


@pytest.fixture
def photos(tmp_path, mmseg_scope):
    return Photos(tmp_path)


@pytest.fixture
def make(photos, monkeypatch, capsys):
    """Run the tool; return its exit status, output and errors."""

    def run(*options):
        monkeypatch.chdir(photos.root)
        monkeypatch.setattr(sys, 'argv',
                            ['new_project', 'photos', 'tags.csv', 'project'] +
                            [str(option) for option in options])
        status = TOOL_NAMES['main']()
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def stages_of(cfg, work_dir):
    cfg.work_dir = str(work_dir)
    return {stage.name: stage.cfg for stage in StagedRunner(cfg).stages}


def build(dataset):
    return DATASETS.build(dict(dataset, _scope_='mmseg'))


@pytest.mark.parametrize('size', ['base', 'mobile', 'small'])
def test_project_without_masks(photos, make, tmp_path, monkeypatch, size):
    status, out, err = make('--size', size)
    assert status == 0
    rows = [[cell.strip() for cell in line.split('|')[1:-1]]
            for line in out.splitlines() if line.startswith('|')]
    assert rows[0] == [
        'class', 'mask value', 'colour', 'train', 'tags_train', 'tags_val'
    ]
    # a fifth of ten photos is kept back, and eight must be left
    assert [[row[0], row[1], row[3]] for row in rows[1:]] == [
        ['cat', '1', '3'], ['dog', '2', '3'], ['guinea pig', '3', '3'],
        ['(none)', '0', '1'], ['all photos', '', '10']
    ]  # yapf: disable
    assert rows[-1][4:] == ['8', '2']
    assert "line 1 is a header: 'photo', 'tags', 10 rows" in out
    assert "2 photos have no row" in err and "'p10', 'trip/p11'" in err

    files = {path.name for path in (photos.root / 'project').iterdir()}
    assert files == {
        'classes.json', 'data.py', 'classifier.py', 'segmentor.py',
        'train.txt', 'tags_train.txt', 'tags_val.txt'
    } | ({'first_look.py'} if size != 'small' else set())
    learnt, kept_back = photos.ids('tags_train'), photos.ids('tags_val')
    assert sorted(learnt + kept_back) == photos.ids('train')
    monkeypatch.chdir('/')  # the project works from anywhere
    stages = stages_of(photos.config(), tmp_path / 'run')
    assert list(stages) == ['classifier', 'tags', 'labels', 'segmentor']
    for cfg in stages.values():
        heads = [cfg.model.decode_head, cfg.model.get('auxiliary_head')]
        assert {head.num_classes for head in heads if head} == {4}
        MODELS.build(cfg.model)
        for hook in cfg.get('custom_hooks', []):
            HOOKS.build(hook)
    segmentor = stages['segmentor']
    # no mask says which number is best
    assert stages['labels'].model.test_cfg.bg_thr == 'otsu'
    for key in ('dataloader', 'evaluator', 'cfg'):
        assert segmentor[f'val_{key}'] is None
        assert segmentor[f'test_{key}'] is None
        assert stages['classifier'][f'test_{key}'] is None

    for name, image_ids in (('train', learnt), ('tag', kept_back)):
        dataset = stages['classifier'][f'{name}_dataloader'].dataset
        assert build(dataset).image_ids == image_ids
    assert stages['tags'].test_dataloader.dataset == dataset
    for dataset in (stages['classifier'].custom_hooks[-1].dataset,
                    stages['labels'].test_dataloader.dataset):
        dataset = build(dataset)
        assert dataset.image_ids == photos.ids('train')
        assert dataset.label_counts.tolist() == [3, 3, 3]
        assert dataset[0]['data_samples'].ori_shape == (20, 24)
    palette = dataset.metainfo['palette']
    assert palette[0] == [0, 0, 0] and len(set(map(tuple, palette))) == 4
    assert dataset.metainfo['classes'] == ('background', *CLASSES)
    train = segmentor.train_dataloader.dataset
    assert train.label_dir == 'stage://labels/masks'
    assert 'true_label_dir' not in train
    assert len(build(train.dataset)) == 10


@pytest.mark.parametrize('size', ['base', 'mobile', 'small'])
def test_masks_score_and_validate(photos, make, tmp_path, size):
    status, _, err = make('--size', size, '--masks', 'masks', '--val-fraction',
                          '0.5')
    assert (status, err.count('warning')) == (0, 1), err
    train, val = photos.ids('train'), photos.ids('val')
    masked = {'p00', 'trip/p01', 'p02', 'trip/p03'}
    assert len(val) == 2 and {*val} < masked
    assert not {*val} & {*train} and len(train) + len(val) == 10

    stages = stages_of(photos.config(), tmp_path / 'run')
    # of eight photos no tag can be kept back
    assert list(stages) == ['classifier', 'labels', 'seed', 'segmentor']
    assert stages['labels'].model.test_cfg.bg_thr == .4
    seed = build(stages['seed'].test_dataloader.dataset)
    assert {*seed.image_ids} == masked - {*val}
    check_files(seed)
    for cfg in (stages['segmentor'].val_dataloader,
                stages['segmentor'].test_dataloader):
        dataset = build(cfg.dataset)
        check_files(dataset)
        ids = [info['img_path'] for info in map(dataset.get_data_info, (0, 1))]
        assert ids == [str(tmp_path / f'photos/{name}.jpg') for name in val]
    for name in ('classifier', 'labels'):
        dataset = stages[name].label_dataloader.dataset
        assert build(dataset).image_ids == train
    assert stages['segmentor'].val_cfg is not None
    train = stages['segmentor'].train_dataloader.dataset
    assert 'true_label_dir' not in train  # scores only


def test_choice_of_photos_to_validate():
    choose = TOOL_NAMES['choose_val']
    names = [f'p{index}' for index in range(10)]
    assert choose(names, 0.2, 0) == choose(names, 0.2, 0)
    assert choose(names, 0.2, 0) != choose(names, 0.2, 1)
    # always one of each
    sizes = [len(choose(names, share, 0)) for share in (.01, .2, .99)]
    assert sizes == [1, 2, 9]


def test_train_on_masks(photos, make):
    assert make('--masks', 'masks', '--train-on-masks')[0] == 0
    train = photos.config().train_dataloader.dataset
    assert train.true_label_dir == str(photos.root / 'masks')
    # the masks that validate are out of reach: their photos are
    assert train.dataset.ann_file == str(photos.root / 'project/train.txt')
    with pytest.raises(SystemExit):
        make('--train-on-masks')


def test_classes_give_the_mask_values(photos, make):
    order = ['dog', 'guinea pig', 'cat']
    status, _, err = make('--masks', 'masks', '--classes', *order)
    assert status == 0
    assert '4 of 4 masks show other classes than the tags' in err
    assert photos.config('data').photos.metainfo.classes == ('background',
                                                             *order)


def test_length_of_the_training(photos, make):
    assert [classifier_epochs('base', n)
            for n in (10, 1000, 10**6)] == [100, 24, 5]
    assert [classifier_epochs('mobile', n)
            for n in (10, 100, 10**4)] == [40, 24, 8]
    assert make('--size', 'small')[0] == 0
    assert photos.config('classifier').train_cfg.max_epochs == 20


def test_other_delimiters(photos, make):
    photos.save([row.replace(',', '\t') for row in photos.rows])
    status, _, err = make('--delimiter', ';')
    assert status == 1 and "tags.csv, line 1: the cell 'photo\\ttags'" in err
    assert make()[0] == 0
    labels = photos.config('data').image_labels
    assert (labels.delimiter, labels.layout) == ('\t', 'tags')


@pytest.mark.parametrize('sep, delimiter', [(';', ','), (',', ';'),
                                            ('|', '\t')])
def test_tags_in_one_cell(photos, make, sep, delimiter):
    rows = [row.replace(',', delimiter) for row in photos.rows]
    photos.save([*rows, f'p10.jpg{delimiter}cat{sep}dog'])
    assert make()[0] == 0
    assert photos.config('data').image_labels.sep == sep
    assert photos.config('data').class_info.classes == ('background', *CLASSES)


def test_row_per_tag(photos, make):
    photos.save([*photos.rows, 'p00.jpg,dog'])
    status, out, _ = make()
    assert status == 0 and 'read as a row per tag' in out
    assert photos.config('data').image_labels.layout == 'long'


def test_column_per_class(photos, make):
    photos.save(['photo;cat;dog'] + [
        f'{"trip/" if i % 2 else ""}p{i:02d};{i % 2};{int(i < 3)}'
        for i in range(12)
    ])
    status, out, _ = make()
    assert status == 0 and 'read as a column per class' in out
    data = photos.config('data')
    assert data.photos.metainfo.classes == ('background', 'cat', 'dog')
    assert data.image_labels.layout == 'one_hot'


def test_tags_stay_what_they_are(photos, make, tmp_path):
    tag = 'it\'s a "\\n" #\u2603 {x} \\'
    quoted = tag.replace('"', '""')
    photos.save([*photos.rows, f'p10,"{quoted}"'])
    assert make('--size', 'small')[0] == 0
    cfg = photos.config('classifier')
    assert tag in cfg.photos.metainfo.classes
    assert cfg.model.decode_head.num_classes == 5
    cfg.dump(str(tmp_path / 'again.py'))  # as runs do
    again = Config.fromfile(str(tmp_path / 'again.py'))
    assert again.photos.metainfo.classes == cfg.photos.metainfo.classes


def test_class_on_every_photo(photos, make):
    names = [row.split(',')[0] for row in photos.rows[1:]]
    photos.save([f'{name},cell' for name in names])
    status, _, err = make()
    assert status == 0 and "'cell' is on every photo" in err


@pytest.mark.parametrize('name', ["it's", 'a"b', '{{ fileDirname }}'])
def test_folders_that_a_config_cannot_name(photos, make, name):
    (photos.root / name).symlink_to('photos')
    args = argparse.Namespace(
        weights=None,
        photos=photos.root / name,
        tags=photos.root / 'tags.csv',
        masks=None,
        project_dir=photos.root / 'project')
    check = TOOL_NAMES['check_paths']
    if '{{' in name:
        with pytest.raises(ValueError, match='fileDirname'):
            check(args, ['p00'])
    else:
        check(args, ['p00'])
    args.photos, args.project_dir = photos.root, photos.root / name
    with pytest.raises(ValueError, match='the name of the project'):
        check(args, ['p00'])


def test_rows_of_no_photo(photos, make):
    photos.save([*photos.rows, 'gone.jpg,cat'])
    status, _, err = make()
    assert status == 0
    assert "1 rows name no photo: 'gone.jpg (line 12)'" in err


def test_large_photos(photos, make):
    photos.write('photos/p00.jpg', np.zeros((2001, 2000, 3)))
    status, _, err = make()
    assert status == 0 and 'the largest photo has 4 million pixels' in err


def tagged(*rows):
    return lambda photos: photos.save([*photos.rows, *rows])


def photo(name, array):
    return lambda photos: photos.write(name, array)


@pytest.mark.parametrize('change, options, message', [
    (tagged('p10,Cat'), (), "'Cat' and 'cat' would be two classes"),
    (tagged('p10,background'), (), "'background' is no class to tag"),
    (tagged('p10,horse'),
     ('--classes', *CLASSES), "line 12: unknown class 'horse'"),
    (tagged('p00,cat', 'p10,cat;dog'),
     (), "'p00' was already given in tags.csv, line 2"),
    (tagged('p10,{{$HOME:x}}'), (), "the class '{{$HOME:x}}' holds {{"),
    (tagged('P10,cat'), (), "line 12: 'P10' is no photo, but 'p10' is"),
    (tagged('p10;cat'), (), "line 12: 'p10;cat' is no photo, but 'p10' is"),
    (tagged('p10,3,4,5,6,cat'), (), "line 12: '3' is no tag. Boxes"),
    (tagged('p10,cat dog'), (), "'cat dog' looks like several tags"),
    (tagged('../p10,cat'), (), "line 12: '../p10' is no name inside"),
    (lambda photos: photos.save(['a.jpg,cat', 'b.jpg,dog']), (),
     "names an image: its rows begin with 'a.jpg', 'b.jpg', but images are "
     "named like 'p00'"),
    (lambda photos: photos.save(photos.rows[:8]),
     (), 'there are 7 photos to train on, but at least 8'),
    (lambda photos:
     (photos.root / 'tags.csv').unlink(), (), "'tags.csv' does not exist"),
    (photo('photos/p00.png', np.zeros((4, 4))), (), "share the id 'p00'"),
    (lambda photos: (photos.root / 'photos/p00.jpg').write_text('x'),
     (), 'p00.jpg is no valid photo'),
    (photo('masks/p02.png', np.zeros((4, 4))), ('--masks', 'masks'),
     'masks/p02.png is (4, 4), photos/p02.jpg is (24, 20)'),
    (photo('masks/p02.png', np.full((20, 24), 4)), ('--masks', 'masks'),
     'masks/p02.png has 4\'. Expected 0 (background) to 3'),
    (photo('masks/x.png', np.zeros(
        (4, 4))), ('--masks', 'masks'), '1 of 5 masks in'),
    (photo('few/p00.png', np.zeros((20, 24))),
     ('--masks', 'few'), '1 photos with tags have a mask in few, but two'),
    (lambda photos:
     (photos.root / 'project').mkdir(), (), 'project is there already'),
])
def test_errors_leave_no_project(photos, make, change, options, message):
    change(photos)
    status, _, err = make(*options)
    assert status == 1
    assert message in err
    assert not (photos.root / 'project/data.py').exists()


def test_test_time_augmentation(photos, make, monkeypatch):
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)
    assert make('--size', 'small', '--masks', 'masks')[0] == 0
    torch.save(
        dict(state_dict=MODELS.build(photos.config().model).state_dict()),
        photos.root / 'model.pth')
    views, merge = [], CRFTTAModel.merge_preds

    def spy(model, data_samples_list):
        views.extend(map(len, data_samples_list))
        return merge(model, data_samples_list)

    monkeypatch.setattr(CRFTTAModel, 'merge_preds', spy)
    monkeypatch.setattr(sys, 'argv', [
        'test', 'project/segmentor.py', 'model.pth', '--tta', '--work-dir',
        'run', '--out', 'out'
    ])
    runpy.run_path(str(TOOL.with_name('test.py')))['main']()
    val = photos.ids('val')
    assert views == [10] * len(val)  # five scales, mirrored
    scores, = (photos.root / 'run').glob('*/*.json')
    assert 'mIoU' in json.loads(scores.read_text())
    for name in val:
        mask = read_index_mask(photos.root / 'out/masks' / f'{name}.png')
        assert mask.shape == (20, 24)
