"""Parts of the picture; the tutorial's test draws whole ones."""
import runpy
from pathlib import Path

import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'report.py'
REPORT = runpy.run_path(str(TOOL))


def test_masks_at_other_thresholds():
    maps = torch.tensor([[[.1, .5, .9, .4]], [[.0, .4, .8, .6]]])
    sample = SegDataSample(metainfo=dict(img_labels=(0, 2)))
    sample.activation = PixelData(lpcam=maps)
    masks = {
        bg_thr: REPORT['lpcam_mask'](sample, bg_thr).tolist()
        for bg_thr in (0., .5, .7, 1.)
    }
    # equality is background, as in all masks of maps
    assert masks == {
        0.: [[1, 1, 1, 3]],
        .5: [[0, 0, 1, 3]],
        .7: [[0, 0, 1, 0]],
        1.: [[0, 0, 0, 0]]
    }


class Photos:
    """Ten photos, of which the even ones show a class."""
    image_ids = [f'p{index}' for index in range(10)]

    def __len__(self):
        return 10

    def get_cat_ids(self, index):
        return [] if index % 2 else [0]


def test_shown_photos():
    choose = REPORT['choose']
    assert choose(Photos(), {}, 8) == [0, 2, 4, 6, 8]
    three = choose(Photos(), {}, 3)
    assert three == sorted(three) and len(three) == 3
    assert choose(Photos(), {}, 3) == three
    # true masks first, then others
    masks = dict.fromkeys(('p1', 'p4', 'p6'), 'mask.png')
    assert choose(Photos(), masks, 2) == [4, 6]
    assert {4, 6} < {*choose(Photos(), masks, 3)}


def test_stage_that_is_under_way(tmp_path):
    is_finished = REPORT['is_finished']
    assert not is_finished(tmp_path)
    state = tmp_path / 'stage.json'
    state.write_text('{"finished": false}')
    assert not is_finished(tmp_path)
    state.write_text('{"finished": true}')
    assert is_finished(tmp_path)
