"""Kinds of maps: the one table that all parts read."""
from typing import NamedTuple


class MapType(NamedTuple):
    """What is known about maps of one kind.

    Attributes:
        name (str): How configs and files call it.
        title (str): How tables and pictures call it.
        normalization (str): See :func:`mmlpcam.ops.normalize_maps`. Defaults
            to 'class'.
        eps (float): The same. Defaults to 0.
        needs_bank (bool): Whether it is made with prototypes. Defaults to
            False.
        is_refined (bool): Whether it is made of other maps. Defaults to
            False.
    """
    name: str
    title: str
    normalization: str = 'class'
    eps: float = 0.
    needs_bank: bool = False
    is_refined: bool = False


_MAP_TYPES: dict[str, MapType] = {}


def register_map_type(map_type: MapType) -> None:
    """Add a kind of maps to the table.

    Args:
        map_type (MapType): The kind. Those of one name must be equal.

    Raises:
        ValueError: If the name has another meaning already.
    """
    found = _MAP_TYPES.setdefault(map_type.name, map_type)
    if found != map_type:
        raise ValueError(f'there is another map type {map_type.name!r} '
                         f'already ({found}): choose another name')


def find_map_type(name: str) -> MapType:
    """Look up a kind of maps.

    Args:
        name (str): Its name.

    Returns:
        MapType: The kind.

    Raises:
        ValueError: If there is none of this name.
    """
    if name not in _MAP_TYPES:
        raise ValueError(
            f'expected a map type of {tuple(_MAP_TYPES)}, but got {name!r}: '
            'correct the name, or import the module that registers it '
            '(custom_imports)')
    return _MAP_TYPES[name]


def map_title(name: str) -> str:
    """Return how tables call a kind of maps.

    Args:
        name (str): Its name; one that is not registered is its own title.

    Returns:
        str: The title.
    """
    return _MAP_TYPES[name].title if name in _MAP_TYPES else name


def is_refined(name: str) -> bool:
    """Whether maps of a kind are made of other maps.

    Args:
        name (str): Its name; one that is not registered is not.
    """
    return name in _MAP_TYPES and _MAP_TYPES[name].is_refined


def sort_map_types(names: set[str]) -> list[str]:
    """Bring kinds of maps in the order of the table.

    Args:
        names (set[str]): Their names; those that are not registered come
            last, by name.

    Returns:
        list[str]: The names.
    """
    known = [name for name in _MAP_TYPES if name in names]
    return known + sorted(names.difference(known))


# The official CAM code adds 1e-5 to the maximum, the LPCAM code does not.
register_map_type(MapType('cam', 'CAM', eps=1e-5))
register_map_type(MapType('lpcam_f', 'LPCAM-F', needs_bank=True))
register_map_type(MapType('lpcam', 'LPCAM', needs_bank=True))
register_map_type(
    MapType('irn', 'IRN', normalization='image', is_refined=True))
