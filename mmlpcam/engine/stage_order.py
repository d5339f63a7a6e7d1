"""In which order the stages of a chain run."""
import copy
from collections.abc import Mapping

from mmengine.config import Config


def ordered_stages(stages: Mapping[str, dict | None]) -> dict[str, dict]:
    """Bring stages in the order in which they run.

    They run as they are written, but for those with ``after``, which run
    directly after the stage of that name, wherever they are written; several
    after the same one run as they are written, each with those after itself.
    Stages that are None are left out. A key that is a number stands for the
    stage at this place of the order, from 0.

    Args:
        stages (Mapping[str, dict | None]): Stages by name, as in a config.

    Returns:
        dict[str, dict]: Copies of them.

    Raises:
        ValueError: If ``after`` names no stage, stages come after one
            another in a circle, or there is no stage of a number.

    Example:
        >>> list(ordered_stages(dict(maps={}, irn={}, amn=dict(after='maps'))))
        ['maps', 'amn', 'irn']
    """
    named = {
        name: copy.deepcopy(stage)
        for name, stage in stages.items()
        if stage is not None and not name.isdigit()
    }
    names = _order(named)
    for number, changes in stages.items():
        if not number.isdigit() or changes is None:
            continue
        if int(number) >= len(names):
            raise ValueError(
                f'there is no stage {number}: stages are numbered from 0 and '
                f'are {names}')
        name = names[int(number)]
        named[name] = Config._merge_a_into_b(
            copy.deepcopy(changes), named[name], allow_list_keys=True)
    return {name: named[name] for name in _order(named)}


def _order(stages: Mapping[str, dict]) -> list[str]:
    followers: dict[str | None, list[str]] = {}
    for name, stage in stages.items():
        after = stage.get('after')
        if after is not None and (not isinstance(after, str)
                                  or after not in stages):
            others = [other for other in stages if other != name]
            raise ValueError(
                f'stage {name!r} is to run after {after!r}, but `after` must '
                f'name another stage that is not left out: {others}. The '
                'config itself, which trains last, is none')
        followers.setdefault(after, []).append(name)
    order: list[str] = []
    to_place = followers.get(None, [])[::-1]
    while to_place:
        order.append(to_place.pop())
        to_place += followers.get(order[-1], [])[::-1]
    circle = [name for name in stages if name not in order]
    if circle:
        raise ValueError(
            f'stages {circle} come after one another in a circle: one of '
            'them must come `after` another stage, or after none')
    return order
