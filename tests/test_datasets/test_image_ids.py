# ruff: noqa: C408 (configs are written as dict(...))
"""One numbering of images and labels, however datasets are joined."""
import shutil

import pytest
import torch
from mmengine.runner import Runner
from mmseg.registry import DATASETS
from torch.utils.data import Subset

from mmlpcam.datasets import check_shared_masks, with_image_ids
from mmlpcam.engine import PrototypeBuilder

pytestmark = pytest.mark.filterwarnings('ignore:Default ``avg_non_ignore``')
BUILDER = dict(fg_thr=.5, mu_f=.2, mu_b=.95, scales=(1.0, ), num_workers=0)


def halves(data):
    """The six images as two datasets with labels of their own."""
    return dict(
        type='ConcatDataset',
        datasets=[
            data.dataset(indices=range(*ends)) for ends in ((3, ), (3, 6))
        ])


def repeated(data):
    return dict(type='RepeatDataset', dataset=data.dataset(), times=2)


def balanced(data):
    return dict(
        type='ClassBalancedDataset', dataset=data.dataset(), oversample_thr=1.)


# cat and dog are on 3 of 6 images: ceil(sqrt(1 / (3/6))) = 2 times each;
# image 3 shows none
ORDERS = {
    halves: [0, 1, 2, 3, 4, 5],
    repeated: [0, 1, 2, 3, 4, 5] * 2,
    balanced: [0, 0, 1, 1, 2, 2, 3, 4, 4, 5, 5]
}


@pytest.mark.parametrize('join, order', ORDERS.items())
def test_ids_and_numbers(voc_mini, join, order):
    dataset = with_image_ids(DATASETS.build(join(voc_mini)))
    assert dataset.image_ids == [voc_mini.image_ids[i] for i in order]
    assert list(dataset.images) == voc_mini.image_ids
    samples = [item['data_samples'] for item in dataset]
    assert [each.sample_idx for each in samples] == [*range(len(order))]
    assert [each.image_id for each in samples] == dataset.image_ids
    assert [each.img_labels
            for each in samples] == [voc_mini.indices[i] for i in order]
    assert [each.ori_shape
            for each in samples] == [voc_mini.sizes[i] for i in order]
    infos = [dataset.get_data_info(i) for i in range(len(order))]
    assert [info['sample_idx'] for info in infos] == [*range(len(order))]


def test_a_wrapper_counts_itself(voc_mini):
    dataset = DATASETS.build(voc_mini.dataset())
    assert with_image_ids(dataset) is dataset


def test_what_says_nothing_about_its_images(voc_mini):
    dataset = Subset(DATASETS.build(voc_mini.dataset()), [0, 1])
    with pytest.raises(TypeError, match='got Subset'):
        with_image_ids(dataset)


def with_other_classes(data):
    """The second half names its classes in another order."""
    joined = halves(data)
    joined['ignore_keys'] = ['classes']
    leaf = joined['datasets'][1]['dataset']
    background, cat, dog, bird = leaf['metainfo']['classes']
    leaf['metainfo'] = dict(
        leaf['metainfo'], classes=(background, dog, cat, bird))
    return joined


def test_joined_datasets_have_the_same_classes(voc_mini):
    """Labels of the one would be those of other classes of the other."""
    joined = with_other_classes(voc_mini)
    inside = dict(
        voc_mini.dataset(),
        dataset=dict(
            joined, datasets=[each['dataset'] for each in joined['datasets']]))
    for build in (lambda: DATASETS.build(inside),
                  lambda: with_image_ids(DATASETS.build(joined))):
        with pytest.raises(ValueError, match="joined differ .*'dog', 'cat'"):
            build()
    for each in joined['datasets']:  # as the check of all classes does
        each['dataset']['metainfo'] = dict(
            voc_mini.metainfo, classes=('Background', 'cat', 'dog', 'bird'))
    assert len(with_image_ids(DATASETS.build(joined))) == 6


@pytest.mark.parametrize('labels_inside', [True, False])
def test_balanced_masks(voc_mini, labels_inside):
    """Wherever the labels are, images of rare classes come up more often."""
    data = voc_mini.dataset(with_masks=True)
    masks = dict(
        type='PseudoLabelDataset',
        label_dir=str(voc_mini.root / 'SegmentationClass'))
    if labels_inside:
        masks['dataset'] = data
    else:
        masks['dataset'] = dict(
            type='RepeatDataset', times=1, dataset=data['dataset'])
        masks = dict(data, dataset=masks)
    dataset = DATASETS.build(
        dict(type='ClassBalancedDataset', dataset=masks, oversample_thr=1.))
    assert dataset.repeat_indices == ORDERS[balanced]
    masks = dict(
        type='PseudoLabelDataset',
        label_dir=str(voc_mini.root / 'SegmentationClass'),
        dataset=data['dataset'])
    with pytest.raises(TypeError, match='put ImageLabelDataset around it'):
        DATASETS.build(
            dict(
                type='ClassBalancedDataset', dataset=masks, oversample_thr=1.))


def bank_of(tiny, dataset):
    model = tiny.build()
    PrototypeBuilder(dataset, **BUILDER).build(model)
    return model.decode_head.bank.state_dict()


def test_prototypes_of_joined_datasets(tiny, voc_mini):
    """Two images of one number would share their features."""
    one, two = (
        bank_of(tiny, dataset)
        for dataset in (voc_mini.dataset(), halves(voc_mini)))
    assert one['class_valid'].any()
    assert one.keys() == two.keys()
    for key in one:
        assert torch.equal(one[key], two[key]), key


@pytest.mark.parametrize('join', ORDERS)
def test_one_mask_per_image(tiny, voc_mini, tmp_path, monkeypatch, join):
    monkeypatch.setattr('mmengine.runner.runner.collect_env', dict)
    torch.save(
        dict(state_dict=tiny.build(with_bank=True).state_dict()),
        tmp_path / 'model.pth')

    def label(dataset, out):
        runner = Runner(
            model=tiny.cfg(bg_thr=.5),
            work_dir=str(tmp_path / 'work'),
            experiment_name=out,
            default_scope='mmseg',
            load_from=str(tmp_path / 'model.pth'),
            default_hooks=dict(logger=None, checkpoint=None, timer=None),
            test_cfg=dict(type='PseudoLabelLoop'),
            test_evaluator=dict(
                type='PseudoLabelWriter', out_dir=str(tmp_path / out)),
            test_dataloader=dict(
                batch_size=1,
                num_workers=0,
                sampler=dict(type='DefaultSampler', shuffle=False),
                dataset=dataset))
        written = runner.test()['labels/written']
        folder = tmp_path / out / 'masks'
        return written, {
            path.relative_to(folder).with_suffix('').as_posix():
            path.read_bytes()
            for path in folder.rglob('*.png')
        }

    written, masks = label(join(voc_mini), 'joined')
    assert written == 6 and {*masks} == {*voc_mini.image_ids}
    assert masks == label(voc_mini.dataset(), 'plain')[1]


def twin_of(data):
    """Photos in another folder, with the same file names."""
    shutil.copytree(data.root, data.root.with_name('twin'))
    twin = data.dataset()
    twin['dataset']['data_root'] = str(data.root.with_name('twin'))
    return twin


def on_masks(dataset, folder):
    dataset['dataset']['pipeline'] = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadPseudoLabel'),
        dict(type='PackSegInputs')
    ]
    return dict(
        type='PseudoLabelDataset',
        label_dir=folder and str(folder),
        missing='ignore',
        dataset=dataset)


def test_equal_names_cannot_be_told_apart(voc_mini):
    joined = dict(
        type='ConcatDataset', datasets=[voc_mini.dataset(),
                                        twin_of(voc_mini)])
    with pytest.raises(
            ValueError,
            match="share the id '2007_000001': '.*VOC/JPEGImages/.*' and "
            "'.*twin/JPEGImages/.*folder above both"):
        with_image_ids(DATASETS.build(joined))
    with pytest.raises(ValueError, match="share the id '2007_000001'"):
        PrototypeBuilder(joined, **BUILDER).prepare()


def check(*datasets):
    check_shared_masks(
        DATASETS.build(
            dict(
                type='RepeatDataset',
                times=2,
                dataset=dict(type='ConcatDataset', datasets=list(datasets)))))


def test_equal_names_with_one_mask(voc_mini, tmp_path):
    here, twin, there = (on_masks(voc_mini.dataset(), tmp_path / 'one'),
                         on_masks(twin_of(voc_mini), tmp_path / 'one'),
                         on_masks(voc_mini.dataset(), tmp_path / 'two'))
    match = (
        "share the id '2007_000001', and so a mask in .*one: "
        "'.*VOC/JPEGImages/.*' and '.*twin/JPEGImages/.*folder above both")
    with pytest.raises(ValueError, match=match):
        check(here, twin)
    check(here, there)  # other masks
    check(here, here)  # the same photos
    check(here, twin['dataset'])  # no mask
    twin['label_dir'] = str(tmp_path / 'two')
    check(here, twin)


def test_equal_names_with_one_true_mask(voc_mini, tmp_path):
    here, twin = (on_masks(voc_mini.dataset(), tmp_path / 'one'),
                  on_masks(twin_of(voc_mini), tmp_path / 'two'))
    for each in (here, twin):
        each['true_label_dir'] = str(tmp_path / 'true')
    shutil.copytree(voc_mini.root / 'SegmentationClass', tmp_path / 'true')
    with pytest.raises(ValueError, match='a mask in .*true: '):
        check(here, twin)
    twin['true_label_dir'] = None
    check(here, twin)
    # one folder by two names
    here['true_label_dir'] = None
    twin['label_dir'] = f'{tmp_path}/two/../one/'
    with pytest.raises(ValueError, match='a mask in .*one/: '):
        check(here, twin)


def test_equal_names_with_one_mask_made_while_training(voc_mini):
    with pytest.raises(ValueError, match='a mask in the labels: '):
        check(
            on_masks(voc_mini.dataset(), None),
            on_masks(twin_of(voc_mini), None))
