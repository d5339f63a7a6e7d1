"""Agreement with numbers that the official codes computed.

See `parity/README.md`: everything is read from the file, so that it may be
any file of that form.
"""
import functools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmseg.structures import SegDataSample
from torch import nn

from mmlpcam.models import CAMHead, multi_scale_maps
from mmlpcam.ops import (activation_maps, covered_size, flip_average,
                         full_size_maps, kmeans, normalize_maps,
                         prototype_direction, prototype_scores,
                         select_class_prototypes, select_context_prototypes,
                         split_features, strided_maps)

pytestmark = pytest.mark.filterwarnings('ignore:Default ``avg_non_ignore``')
SIDES = ('fg', 'bg')


class Official:
    """The content of one file, as tensors."""

    def __init__(self, file):
        with np.load(file, allow_pickle=False) as content:
            self.arrays = {name: content[name] for name in content.files}

    def __contains__(self, name):
        return name in self.arrays

    def __getitem__(self, name):
        return torch.from_numpy(np.asarray(self.arrays[name]))

    def number(self, name):
        return self.arrays[name].item()

    @property
    def scales(self):
        return self.arrays['scales'].tolist()

    @property
    def clustered(self):
        """Classes with clusters."""
        return [
            c for c in range(len(self['classifier_weight']))
            if f'init_fg_{c}' in self
        ]

    @property
    def images(self):
        """Index, size and classes of each image."""
        for i, (size, row) in enumerate(zip(self['sizes'], self['labels'])):
            yield i, tuple(size.tolist()), torch.nonzero(row)[:, 0].tolist()

    def prototypes(self, label):
        return (self[f'class_prototypes_{label}'],
                self[f'context_prototypes_{label}'])

    def head(self):
        """Head with the weights and prototypes of the file."""
        weight = self['classifier_weight']
        room = max(
            len(side) for c in self.clustered for side in self.prototypes(c))
        head = CAMHead(
            weight.shape[1],
            len(weight) + 1,
            num_clusters=room,
            scales=self.scales).eval()
        with torch.no_grad():
            head.conv_seg.weight.copy_(weight[:, :, None, None])
        for label in self.clustered:
            head.bank.set_class(label, *self.prototypes(label))
        return head

    def extract_feat(self, image):
        """Serve the stored features of an image, scale by scale."""
        stored = iter(self[f'feat_{image}_{s}']
                      for s in range(len(self.scales)))

        def extract(views):
            assert len(views) == 2
            return [next(stored)]

        return extract


@functools.cache
def read(file):
    if not file.exists():
        pytest.skip(f'no {file}')
    return Official(file)


@pytest.fixture
def voc(parity):
    return read(parity / 'lpcam_voc.npz')


@pytest.fixture
def coco(parity):
    return read(parity / 'lpcam_coco.npz')


def check_close(ours, theirs):
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def check_kmeans(official):
    assert official.clustered
    for label in official.clustered:
        for side in SIDES:
            points = official[f'points_{side}_{label}']
            init = official[f'init_{side}_{label}']
            result = kmeans(points, len(init), init=init)
            expected = official[f'centers_{side}_{label}']
            assert result.converged
            torch.testing.assert_close(
                result.centers, expected, rtol=0, atol=1e-4)
            # a point may sit between two centres up to rounding
            cosine = F.normalize(points, dim=1) @ F.normalize(expected).T
            assign = official[f'assign_{side}_{label}']
            differ = torch.nonzero(result.labels != assign).flatten()
            assert len(differ) <= 1e-3 * len(points)
            rows = torch.arange(len(points))
            gap = abs(cosine[rows, result.labels] - cosine[rows, assign])
            assert (gap[differ] < 1e-3).all()


def check_split(official):
    """The points that reach k-means, in the official order."""
    first = official.scales.index(1.0)
    cams = {
        (i, c): official[f'cam_{i}'][row]
        for i, _, present in official.images
        for row, c in enumerate(present)
    }
    for nth, label in enumerate(official.clustered):
        if 'selected_images' in official:
            images = official['selected_images'][nth].tolist()
        else:
            images = [i for i, c in cams if c == label]
        parts = []
        for i in images:
            feats = official[f'feat_{i}_{first}'][0]
            split = split_features(feats, cams[i, label],
                                   official.number('fg_thr'))
            parts.append([feats.flatten(1).T[side] for side in split])
        for side, points in zip(SIDES, map(torch.cat, zip(*parts))):
            assert torch.equal(points, official[f'points_{side}_{label}'])


def check_selection(official):
    weight = official['classifier_weight']
    for label in official.clustered:
        fg, bg = (official[f'centers_{side}_{label}'] for side in SIDES)
        kept = fg[select_class_prototypes(
            prototype_scores(fg, weight)[:, label], official.number('mu_f'))]
        context = bg[select_context_prototypes(
            prototype_scores(bg, weight)[:, label], official.number('mu_b'),
            official.number('mu_b_low'))]
        assert torch.equal(kept, official[f'class_prototypes_{label}'])
        assert torch.equal(context, official[f'context_prototypes_{label}'])


def check_maps(official):
    directions = {
        c: prototype_direction(*official.prototypes(c))
        for c in official.clustered
    }
    for i, size, present in official.images:
        if not present:
            continue
        rows = torch.stack([directions[c] for c in present])
        full = strided = 0
        for s in range(len(official.scales)):
            fused = flip_average(official[f'feat_{i}_{s}'])
            maps = activation_maps(fused, rows, normalize=True)
            full = full + full_size_maps(maps, size, covered_size(size, 16))
            strided = strided + strided_maps(maps, size)
        check_close(normalize_maps(full)[0], official[f'lpcam_full_{i}'])
        check_close(normalize_maps(strided)[0], official[f'lpcam_strided_{i}'])


def check_head_maps(official):
    head = official.head()
    for i, size, present in official.images:
        if not present:
            continue
        model = nn.Module()
        model.decode_head = head
        model.extract_feat = official.extract_feat(i)
        maps = multi_scale_maps(model, torch.zeros(1, 3, *size), [present],
                                ['lpcam'])[0]['lpcam']
        check_close(maps.full(), official[f'lpcam_full_{i}'])
        check_close(maps.strided(), official[f'lpcam_strided_{i}'])


def test_parity_lpcam_voc_kmeans(voc):
    check_kmeans(voc)


def test_parity_lpcam_voc_split(voc):
    check_split(voc)


def test_parity_lpcam_voc_selection(voc):
    check_selection(voc)


def test_parity_lpcam_voc_maps(voc):
    check_maps(voc)


def test_parity_lpcam_voc_head_maps(voc):
    check_head_maps(voc)


def test_parity_lpcam_coco_kmeans(coco):
    check_kmeans(coco)


def test_parity_lpcam_coco_split(coco):
    check_split(coco)


def test_parity_lpcam_coco_selection(coco):
    check_selection(coco)


def test_parity_lpcam_coco_maps(coco):
    check_maps(coco)


def test_parity_lpcam_coco_head_maps(coco):
    check_head_maps(coco)


def test_parity_lpcam_coco_maps_unlabeled(coco, tiny):
    """An image without labels: no class, but maps of the right size."""
    model = tiny.build(num_clusters=2, with_bank=True)
    for i, size, present in coco.images:
        if present:
            continue
        sample = SegDataSample(metainfo=dict(img_labels=()))
        model.predict(torch.zeros(1, 3, *size), [sample])
        check_close(sample.activation.lpcam, coco[f'lpcam_full_{i}'])
        check_close(sample.scale_maps.strided(), coco[f'lpcam_strided_{i}'])
        assert not sample.pred_sem_seg.data.any()
