"""Settings of a prediction."""
from mmengine.model import BaseModel

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
        ValueError: If it is neither in [0, 1] nor 'otsu'.
    """
    if bg_thr == 'otsu' or (isinstance(bg_thr, int | float)
                            and 0 <= bg_thr <= 1):
        return
    raise ValueError(f"expected {name} in [0, 1], or 'otsu' for a threshold "
                     f'of each image by its scores, but got {bg_thr!r}')


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
