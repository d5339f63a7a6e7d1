import numpy as np
import pytest
import torch

from mmlpcam.models import PrototypeBank

BUFFERS = {
    'class_prototypes', 'class_valid', 'class_direction', 'context_prototypes',
    'context_valid', 'context_direction'
}


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def filled():
    """Class 0: 3 and 1 prototypes; 1: 2 and none; 2: none and 2; 3: none."""
    bank = PrototypeBank(4, 3, 5)
    for label, (p, b) in enumerate([(3, 1), (2, 0), (0, 2), (0, 0)]):
        bank.set_class(label, randn(p, 5, seed=label),
                       randn(b, 5, seed=10 + label))
    return bank


def same(one, two):
    return all(
        torch.equal(a, b) for a, b in zip(one.state_dict().values(),
                                          two.state_dict().values()))


# --- content --------------------------------------------------------------


def test_new_bank_is_empty():
    bank = PrototypeBank(4, 3, 5)
    assert not bank.is_built
    assert torch.equal(bank.directions(), torch.zeros(4, 5))
    assert repr(bank) == ('PrototypeBank(num_classes=4, num_clusters=3, '
                          'channels=5)')


def test_bank_without_room_is_refused():
    with pytest.raises(ValueError, match='`num_clusters`.* 1, but is 0'):
        PrototypeBank(4, 0, 5)


def test_set_class_fills_rows_and_masks():
    bank = filled()
    assert bank.class_valid.tolist() == [[True] * 3, [True, True, False],
                                         [False] * 3, [False] * 3]
    assert bank.context_valid.tolist() == [[True, False, False], [False] * 3,
                                           [True, True, False], [False] * 3]
    assert torch.equal(bank.class_prototypes[1, :2], randn(2, 5, seed=1))
    assert torch.equal(bank.context_prototypes[2, :2], randn(2, 5, seed=12))


def test_set_class_replaces_and_leaves_others():
    bank, before = filled(), filled()
    bank.set_class(0, torch.ones(1, 5), torch.zeros(0, 5))
    assert bank.class_valid[0].tolist() == [True, False, False]
    assert torch.equal(bank.class_prototypes[0],
                       torch.tensor([[1.], [0.], [0.]]).expand(3, 5))
    assert not bank.context_prototypes[0].any()
    assert not bank.context_valid[0].any()
    for name in BUFFERS:
        assert torch.equal(getattr(bank, name)[1:], getattr(before, name)[1:])


def test_momentum_averages_directions():
    bank = filled()
    old = {
        side: getattr(bank, f'{side}_direction').clone()
        for side in ('class', 'context')
    }
    other, new = filled(), (randn(2, 5, seed=20), randn(3, 5, seed=21))
    other.set_class(0, *new)
    bank.set_class(0, *new, momentum=.25)
    for side in ('class', 'context'):
        mean = .75 * old[side] + .25 * getattr(other, f'{side}_direction')
        torch.testing.assert_close(
            getattr(bank, f'{side}_direction')[0], mean[0])
        assert torch.equal(
            getattr(bank, f'{side}_prototypes')[0],
            getattr(other, f'{side}_prototypes')[0])
    assert torch.equal(bank.directions()[1:], filled().directions()[1:])


def test_momentum_where_one_side_is_empty():
    """Old rows alone, new rows alone, neither: no average, nothing lost."""
    bank, new = filled(), randn(2, 5, seed=20)
    bank.set_class(0, new[:0], new[:0], momentum=.25)
    assert same(bank, filled())
    bank.set_class(1, new[:0], new, momentum=.25)
    bank.set_class(3, new, new[:0], momentum=.25)
    expected = filled()
    expected.set_class(1, randn(2, 5, seed=1), new)
    expected.set_class(3, new, new[:0])
    assert same(bank, expected)


def test_context_alone_is_no_bank():
    bank = PrototypeBank(2, 3, 5)
    bank.set_class(1, torch.zeros(0, 5), torch.ones(1, 5))
    assert not bank.is_built
    bank.set_class(1, torch.ones(1, 5), torch.ones(1, 5))
    assert bank.is_built


@pytest.mark.parametrize('fg, bg', [((4, 5), (1, 5)), ((1, 5), (4, 5)),
                                    ((1, 6), (1, 5)), ((1, 5), (1, 4)),
                                    ((5, ), (1, 5))])
def test_set_class_errors(fg, bg):
    bank, before = filled(), filled()
    with pytest.raises(
            ValueError, match=r'up to 3 prototypes of 5 channels .*class 1'):
        bank.set_class(1, torch.ones(fg), torch.ones(bg))
    assert same(bank, before)


# --- directions -----------------------------------------------------------


@pytest.mark.parametrize('with_context', [True, False])
def test_directions_equal_a_loop(with_context):
    bank = filled()
    for label, direction in enumerate(bank.directions(with_context)):
        expected = np.zeros(5)
        for side, sign in [('class', 1), ('context', -with_context)]:
            rows = [
                row.numpy() for row, valid in zip(
                    getattr(bank, f'{side}_prototypes')[label],
                    getattr(bank, f'{side}_valid')[label]) if valid
            ]
            for row in rows:
                expected += sign * row / np.linalg.norm(row) / len(rows)
        np.testing.assert_allclose(direction, expected, atol=1e-6)


def test_context_is_subtracted_by_default():
    bank = filled()
    assert torch.equal(bank.directions(), bank.directions(True))
    differ = (bank.directions(True) != bank.directions(False)).any(1)
    assert differ.tolist() == [True, False, True, False]


def test_stale_rows_do_not_count():
    """Only the mask tells what is a prototype."""
    bank, before = filled(), filled().directions()
    bank.class_prototypes[~bank.class_valid] = 7
    bank.context_prototypes[~bank.context_valid] = 7
    assert torch.equal(bank.directions(), before)


# --- checkpoints ----------------------------------------------------------


def test_bank_travels_in_a_state_dict(tmp_path):
    torch.save(filled().state_dict(), tmp_path / 'a.pth')
    state = torch.load(tmp_path / 'a.pth', weights_only=True)
    assert set(state) == BUFFERS
    other = PrototypeBank(4, 3, 5)
    assert not any(other.load_state_dict(state))
    assert same(other, filled()) and other.is_built


def test_bank_has_no_parameters():
    assert list(filled().parameters()) == []
    assert filled().double().directions().dtype == torch.float64


# --- several clusterings --------------------------------------------------


def test_directions_of_several_clusterings_are_averaged():
    runs = [(randn(p, 5, seed=p), randn(b, 5, seed=20 + b))
            for p, b in [(2, 0), (3, 1), (1, 3)]]
    singles = PrototypeBank(3, 3, 5)
    for label, run in enumerate(runs):
        singles.set_class(label, *run)
    bank = PrototypeBank(1, 3, 5)
    bank.set_class(0, *runs[0], others=runs[1:])
    for with_context in (False, True):
        torch.testing.assert_close(
            bank.directions(with_context)[0],
            singles.directions(with_context).mean(0))
    # kept: the first that were found
    assert torch.equal(bank.class_prototypes[0, :2], runs[0][0])
    assert bank.context_valid[0].tolist() == [True, False, False]
    assert torch.equal(bank.context_prototypes[0, 0], runs[1][1][0])
