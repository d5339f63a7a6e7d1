"""Parts of the picture; the tutorial's test draws whole ones."""
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmlpcam.apis.run_contents import choose, is_finished
from mmlpcam.apis.run_panel import mask_of
from mmlpcam.apis.run_scores import last_validation, score_table


def test_masks_at_other_thresholds():
    maps = torch.tensor([[[.1, .5, .9, .4]], [[.0, .4, .8, .6]]])
    sample = SegDataSample(metainfo=dict(img_labels=(0, 2)))
    sample.activation = PixelData(lpcam=maps)
    masks = {
        bg_thr: mask_of(sample, 'lpcam', bg_thr).tolist()
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
    assert choose(Photos(), {}, 8) == [0, 2, 4, 6, 8]
    three = choose(Photos(), {}, 3)
    assert three == sorted(three) and len(three) == 3
    assert choose(Photos(), {}, 3) == three
    # true masks first, then others
    masks = dict.fromkeys(('p1', 'p4', 'p6'), 'mask.png')
    assert choose(Photos(), masks, 2) == [4, 6]
    assert {4, 6} < {*choose(Photos(), masks, 3)}


def test_stage_that_is_under_way(tmp_path):
    assert not is_finished(tmp_path)
    state = tmp_path / 'stage.json'
    state.write_text('{"finished": false}')
    assert not is_finished(tmp_path)
    state.write_text('{"finished": true}')
    assert is_finished(tmp_path)


@pytest.fixture
def log(tmp_path):
    path = tmp_path / '20260101_000000/vis_data/scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text('{"lr": 0.1, "iter": 1}\n{"mIoU": 10.5, "step": 2}\n'
                    '{"mIoU": 20.5, "step": 4}\n')
    return path


def test_last_score_of_a_log(log, tmp_path):
    assert last_validation(tmp_path) == 20.5
    with log.open('a') as file:
        file.write('{"lr": 0.1, "iter": 5}\n')
    assert last_validation(tmp_path) == 20.5
    later = tmp_path / '20260102_000000/vis_data/scalars.json'
    later.parent.mkdir(parents=True)
    later.write_text('{"mIoU": 30.5, "step": 6}\n')
    assert last_validation(tmp_path) == 30.5


@pytest.mark.parametrize('torn', ['{"mIoU": 77', '{"mIoU": 77.5}', '{', '7'])
def test_line_that_is_being_written(log, tmp_path, torn):
    with log.open('a') as file:
        file.write(torn)
    assert last_validation(tmp_path) == 20.5


@pytest.mark.parametrize('line', [
    b'{"mIoU": 77', b'7', b'["mIoU", 77]', b'{"mIoU": "high"}',
    b'{"mIoU": [7]}', b'\xff'
])
def test_log_that_is_damaged(log, tmp_path, line):
    log.write_bytes(line + b'\n' + log.read_bytes())
    with pytest.raises(
            ValueError, match=f'{log} is no valid log of scores.*remove it'):
        last_validation(tmp_path)


def test_joint_run_that_is_under_way(log, tmp_path):
    with log.open('a') as file:
        file.write('{"mIo')
    assert score_table(tmp_path, [])[1:] == [[
        'segmentor, validation split', '20.50', '', '', ''
    ]]
