"""Patches of photos that are nearest to prototypes."""
import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmseg.registry import DATASETS

from mmlpcam.apis import prototype_atlas
from mmlpcam.apis.prototype_atlas import PrototypeAtlas, cut_patch
from mmlpcam.apis.run_page import prototype_table
from mmlpcam.engine import read_clusters
from mmlpcam.utils.photos import read_photo


@pytest.fixture
def photos(voc_mini):
    """Samples, names and pixels of the six photos."""
    dataset = DATASETS.build(voc_mini.dataset())
    return [(dataset[i], name,
             read_photo(dataset.get_data_info(i)['img_path'])[..., ::-1])
            for i, name in enumerate(voc_mini.image_ids)]


@torch.no_grad()
def features(model, sample):
    data = model.data_preprocessor(pseudo_collate([sample]))
    return model.decode_head.local_features(
        model.extract_feat(data['inputs']))[0]


@pytest.fixture
def model(tiny, photos):
    """A cat has the feature in row 1, column 2 of photo 3 as prototype."""
    model = tiny.build()
    bank = model.decode_head.bank
    cat = features(model, photos[2][0])[:, 1, 2]
    bank.set_class(0, torch.stack([2 * cat]), torch.rand(2, len(cat)))
    return model


def atlas_of(model, photos, clusters=None):
    atlas = PrototypeAtlas(model, clusters)
    for photo in photos:
        atlas.add(*photo)
    return atlas.prototypes()


def test_a_feature_is_nearest_to_itself(model, photos):
    cat, *context = atlas_of(model, photos)
    assert (cat.label, cat.side, cat.kept, len(context)) == (0, 'class', 1, 2)
    assert len(cat.patches) == 6  # one of each photo
    assert len({patch.photo for patch in cat.patches}) == 6
    for row in (cat, *context):
        found = [patch.similarity for patch in row.patches]
        assert found == sorted(found, reverse=True)
    first = cat.patches[0]
    assert first.photo == photos[2][1]
    assert first.similarity == pytest.approx(1)
    stride = model.decode_head.settings.stride
    expected = cut_patch(photos[2][2], 1, 2, [stride] * 2)
    assert np.array_equal(first.image, expected)
    tagged = {patch.photo: patch.is_tagged for patch in cat.patches}
    assert [tagged[name] for _, name, _ in photos] == [
        0 in sample['data_samples'].img_labels for sample, *_ in photos
    ]
    # the classifier's own score of the prototype
    head = model.decode_head
    with torch.no_grad():
        score = head.class_scores(head.bank.class_prototypes[0, :1])[0, 0]
    assert cat.score == pytest.approx(float(score))
    assert cat.features is None and cat.share is None


def test_few_patches_of_many_prototypes(model, photos, monkeypatch):
    monkeypatch.setattr(prototype_atlas, '_ALL_PATCHES', 7)
    assert [len(row.patches) for row in atlas_of(model, photos)] == [2, 2, 2]


def test_clusters(model, photos):
    none = {'class': [], 'context': []}
    rows = {
        'class': [(5, .1, False), (15, .9, True)],
        'context': [(1, .2, True), (3, .3, True), (4, .8, False)]
    }
    found = atlas_of(model, photos, [rows, none, none])
    assert [row[1:5] for row in map(as_row, found)] == [
        ('class', 15, .75, .9),
        ('class', 5, .25, .1),
        ('context', 3, .375, .3),
        ('context', 1, .125, .2),
        ('context', 4, .5, .8),
    ]
    assert [len(row.patches) for row in found] == [6, 0, 6, 6, 0]
    plain = atlas_of(model, photos)
    assert found[3].patches[0].similarity == plain[1].patches[0].similarity
    assert prototype_table(found, ('bg', 'cat', 'dog', 'bird')) == [
        ['class', 'class prototypes', 'context prototypes'],
        ['cat', '1 of 2 centres', '2 of 3 centres'],
        ['dog', '0 of 0 centres', '0 of 0 centres'],
        ['bird', '0 of 0 centres', '0 of 0 centres']
    ]
    # of another bank, as an average of two has: only prototypes are known
    rows['class'] *= 2
    found = atlas_of(model, photos, [rows, none, none])
    assert [row.features for row in found] == [None, 3, 1, 4]
    assert prototype_table(found, ('bg', 'cat'))[1][1] == '1'


def as_row(row):
    return row.label, row.side, row.features, row.share, row.score


def test_patches_are_inside_of_the_photo():
    photo = np.zeros((200, 300, 3), np.uint8)
    photo[:96, :96] = 255
    assert (cut_patch(photo, 0, 0, [16, 16]) == 255).all()
    # 3 cells further, half of it
    patch = cut_patch(photo, 2, 5, [16, 16])
    assert patch.shape == (64, 64, 3)
    assert 0 < (patch[:, :, 0] == 255).mean() < 1
    assert (cut_patch(photo, 12, 18, [16, 16]) == 0).all()
    assert cut_patch(photo[:20, :7], 0, 0, [16, 16]).shape == (64, 64, 3)


def test_clusters_of_a_checkpoint(tmp_path):
    rows = {'class': [(5, .5, True)], 'context': []}
    path = tmp_path / 'a.pth'

    def read(**runtime_info):
        torch.save(dict(message_hub=dict(runtime_info=runtime_info)), path)
        return read_clusters(path)

    assert read(prototype_clusters=[rows]) == [rows]
    assert read() is None
    torch.save(dict(state_dict=dict(a=torch.ones(1))), path)
    assert read_clusters(path) is None
    for damaged in (7, [7], [{}], [{'class': [(1, 2)], 'context': []}]):
        with pytest.raises(ValueError, match=f'{path} is no valid checkpoint'):
            read(prototype_clusters=damaged)
