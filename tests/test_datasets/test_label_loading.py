"""Tables of labels are read once in a process, unless they change."""
import os

import pytest
from mmengine.dataset import BaseDataset
from mmseg.registry import DATASETS
from PIL import Image

from mmlpcam.datasets import CSVLabels, VOCXMLLabels, load_labels
from mmlpcam.datasets.label_sources import loading
from mmlpcam.engine.contents import ContentReader

CLASSES = ('cat', 'dog')
IMAGES = {name: f'photos/{name}.jpg' for name in 'ab'}


@pytest.fixture
def reads(monkeypatch):
    """Note what is read; files are of old, though just written."""
    monkeypatch.setattr(loading, 'SETTLED', -1)
    loading._kept.clear()
    found = []
    for kind in (CSVLabels, VOCXMLLabels):

        def load(self, images, classes, plain=kind.load):
            found.append((type(self).__name__, *images))
            return plain(self, images, classes)

        monkeypatch.setattr(kind, 'load', load)
    yield found
    loading._kept.clear()


@pytest.fixture
def table(tmp_path):
    path = tmp_path / 'tags.csv'
    path.write_text('a,cat\nb,dog\n')
    return path


def test_once_for_the_same_question(table, reads):
    first = load_labels(CSVLabels(str(table)), IMAGES, CLASSES)
    assert first == {'a': (0, ), 'b': (1, )}
    assert load_labels(CSVLabels(str(table)), IMAGES, CLASSES) is first
    assert len(reads) == 1
    # other classes, images and options are other questions
    one = {'a': IMAGES['a']}
    assert load_labels(CSVLabels(str(table)), IMAGES,
                       CLASSES[::-1])['a'] == (1, )
    assert load_labels(CSVLabels(str(table)), one, CLASSES) == {'a': (0, )}
    load_labels(CSVLabels(str(table), sep='|'), IMAGES, CLASSES)
    assert len(reads) == 4


def test_a_changed_file_is_read_again(table, reads):
    source = CSVLabels(str(table))
    load_labels(source, IMAGES, CLASSES)
    table.write_text('a,dog\nb,cat\n')  # as long as before
    os.utime(table, (1e9, 1e9))  # the clock of files may be slow
    found = load_labels(source, IMAGES, CLASSES)
    assert found == {'a': (1, ), 'b': (0, )} and len(reads) == 2
    other = table.with_name('other.csv')
    other.write_text('a,dog\nb,dog\n')
    times = table.stat()
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.replace(table)  # as long and as old
    assert load_labels(source, IMAGES, CLASSES)['b'] == (1, )


def test_one_changed_file_of_a_folder(tmp_path, reads):
    for name, tag in zip('ab', CLASSES):
        (tmp_path / f'{name}.xml').write_text(
            f'<annotation><object><name>{tag}</name></object></annotation>')
    source = VOCXMLLabels(str(tmp_path))
    for _ in range(2):
        load_labels(source, IMAGES, CLASSES)
    assert len(reads) == 1
    (tmp_path / 'b.xml').write_text('<annotation/>')
    assert load_labels(source, IMAGES, CLASSES) == {'a': (0, ), 'b': ()}
    (tmp_path / 'b.xml').unlink()
    with pytest.raises(ValueError, match="1 of 2 images .*'b'"):
        load_labels(source, IMAGES, CLASSES)


def test_what_may_still_change_is_not_kept(table, reads, monkeypatch):
    monkeypatch.undo()
    source = CSVLabels(str(table))
    first = load_labels(source, IMAGES, CLASSES)
    assert load_labels(source, IMAGES, CLASSES) is not first


def test_a_subclass_may_read_other_files(table, reads):

    class Mine(CSVLabels):
        pass

    for _ in range(2):
        load_labels(Mine(str(table)), IMAGES, CLASSES)
    assert len(reads) == 2


def test_few_are_kept(table, reads):
    for number in range(9):
        load_labels(CSVLabels(str(table)), {'a': f'{number}/a.jpg'}, CLASSES)
    assert len(loading._kept) == 4


def test_data_sets_of_stages_share_a_table(table, reads, tmp_path):
    for name in IMAGES:
        (tmp_path / 'photos').mkdir(exist_ok=True)
        Image.new('RGB', (4, 4)).save(tmp_path / f'photos/{name}.jpg')
    cfg = dict(
        type='ImageLabelDataset',
        dataset=dict(
            type='PhotoFolderDataset',
            metainfo=dict(classes=('background', *CLASSES)),
            data_root=str(tmp_path),
            data_prefix=dict(img_path='photos')),
        labels=dict(type='CSVLabels', csv_file=str(table)))
    contents = ContentReader(tmp_path / 'contents.json')
    for _ in range(2):  # two stages
        dataset: BaseDataset = DATASETS.build(cfg)
        assert contents.dataset(cfg, 'mmseg')['images'][1][2] == [1]
        contents.forget_datasets()
    assert dataset[1]['img_labels'] == (1, ) and len(reads) == 1
