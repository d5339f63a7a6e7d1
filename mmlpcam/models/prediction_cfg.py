"""Settings of a prediction."""
from mmengine.model import BaseModel

from mmlpcam.ops import AutoThreshold
from .map_head import MapHead


def complete_test_cfg(model: BaseModel, defaults: dict) -> dict:
    """Complete the ``test_cfg`` of a model.

    Args:
        model (BaseModel): The model.
        defaults (dict): All keys that it takes.

    Returns:
        dict: Its ``test_cfg``, with defaults where a key is missing.

    Raises:
        ValueError: If it has a key that is not among the defaults, or
            ``bg_thr`` is no threshold.
    """
    given = dict(model.test_cfg or {})
    unknown = set(given) - set(defaults)
    if unknown:
        raise ValueError(f'unknown keys {sorted(unknown)} in model.test_cfg; '
                         f'{type(model).__name__} takes {sorted(defaults)}')
    completed = {**defaults, **given}
    if 'bg_thr' in completed:
        check_bg_thr(completed['bg_thr'], 'model.test_cfg.bg_thr')
    return completed


def check_bg_thr(bg_thr: float | str, name: str) -> None:
    """Check a score of the background.

    Args:
        bg_thr (float | str): The score.
        name (str): Name of the setting, for the error.

    Raises:
        ValueError: If it is neither in [0, 1] nor an
            :class:`~mmlpcam.ops.AutoThreshold` as text.
    """
    if isinstance(bg_thr, str):
        try:
            AutoThreshold.parse(bg_thr)
        except ValueError as error:
            raise ValueError(f'{name}: {error}') from error
    elif not (isinstance(bg_thr, int | float) and 0 <= bg_thr <= 1):
        raise ValueError(f"expected {name} in [0, 1], or 'otsu' or 'li' "
                         'for a threshold of each image by its scores, but '
                         f'got {bg_thr!r}')


def open_threshold(model: BaseModel) -> AutoThreshold | None:
    """Tell whether the masks of a model await the typical threshold of a set.

    Args:
        model (BaseModel): The model, not wrapped for distribution.

    Returns:
        AutoThreshold, optional: Its ``bg_thr``, without a typical threshold;
        None where it is a number or has one.
    """
    test_cfg = model.test_cfg or {}
    bg_thr = test_cfg.get('bg_thr')
    # that of confident labels, beside `fg_thr`, makes no mask of two sides
    if not isinstance(bg_thr, str) or 'fg_thr' in test_cfg:
        return None
    threshold = AutoThreshold.parse(bg_thr)
    return threshold if threshold.typical is None else None


def prediction_settings(model: BaseModel) -> dict:
    """Tell what decides the predictions of a model, besides its weights.

    Args:
        model (BaseModel): The model, not wrapped for distribution.

    Returns:
        dict: Its ``test_cfg``, and how its heads make maps.
    """
    heads = [m for m in model.modules() if isinstance(m, MapHead)]
    return dict(
        test_cfg=dict(model.test_cfg),
        maps=[head.settings._asdict() for head in heads])
