"""In which order stages run, whatever the order in which they are written."""
import pytest

from mmlpcam.engine.stage_order import ordered_stages


def order(**stages):
    return list(
        ordered_stages({
            name:
            None if after is None else dict(after=after or None)
            for name, after in stages.items()
        }))


@pytest.mark.parametrize(
    'stages, expected',
    [
        # '' is as written
        (dict(a='', b='', c=''), 'a b c'),
        (dict(a='', b='', c='', new='a'), 'a new b c'),
        (dict(new='b', a='', b=''), 'a b new'),
        # several after the same one, as they are written
        (dict(a='', b='', x='a', y='a'), 'a x y b'),
        # each with those after itself
        (dict(a='', b='', x='a', y='a', z='x'), 'a x z y b'),
        (dict(a='', b='', z='x', x='a'), 'a x z b'),
        # one that has a place already moves
        (dict(a='', b='', c='', b2='b'), 'a b b2 c'),
        (dict(a='', b='c', c=''), 'a c b'),
        (dict(a='', b='a', c=''), 'a b c'),
        # left out
        (dict(a='', b=None, c='', x='a'), 'a x c'),
        (dict(a='', x=None, b=''), 'a b'),
        ({}, ''),
    ])
def test_order(stages, expected):
    assert ' '.join(order(**stages)) == expected


@pytest.mark.parametrize('stages, message', [
    (dict(a='', b='nowhere'),
     r"'b' is to run after 'nowhere', but `after` must .*: \['a'\]"),
    (dict(a='', b='segmentor'), 'The config itself, which trains last'),
    (dict(a=None, b='a', c=''), r"'b' .* that is not left out: \['c'\]"),
    (dict(a='', b=['a']), r"after \['a'\], but"),
    (dict(a='', b='b'), r"stages \['b'\] come after one another in a circle"),
    (dict(a='', b='c', c='d', d='b'), r"stages \['b', 'c', 'd'\] come after"),
])
def test_no_order(stages, message):
    with pytest.raises(ValueError, match=message):
        order(**stages)


def test_numbers_are_those_of_the_order():
    found = ordered_stages({
        'a': dict(x=1),
        'b': None,
        'c': dict(x=2, lst=[dict(y=3)]),
        'd': dict(x=4, after='a'),
        '1': dict(x=5),
        '2': dict(lst={'0': dict(y=6)}),
    })
    assert found == dict(
        a=dict(x=1), d=dict(x=5, after='a'), c=dict(x=2, lst=[dict(y=6)]))
    assert list(found) == ['a', 'd', 'c']
    # a place may be given by number too
    moved = ordered_stages({'a': {}, 'b': {}, 'c': {}, '0': dict(after='b')})
    assert list(moved) == ['b', 'a', 'c']
    with pytest.raises(ValueError, match='no stage 2: .*from 0.*a.*d'):
        ordered_stages({'a': {}, 'b': None, 'd': {}, '2': {}})


def test_the_config_is_left_as_it_is():
    stages = {'a': dict(x=dict(y=1)), '0': dict(x=dict(y=2))}
    ordered_stages(stages)['a']['x']['z'] = 3
    assert stages == {'a': dict(x=dict(y=1)), '0': dict(x=dict(y=2))}
