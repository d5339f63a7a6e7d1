"""ImageNet weights for the networks of a project."""
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config
from mmseg.registry import MODELS

from mmlpcam.engine.preflight import find_download, pretrained
from mmlpcam.utils import config_path, read_checkpoint, weights_of
from mmlpcam.utils.checkpoints import refuse_nan
from mmlpcam.utils.names import listed

# of the files of OpenMMLab's classifiers, and of no wrapper
_PREFIXES = ('', 'backbone.')
_IMAGENET = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])


class PretrainedFile(NamedTuple):
    """Weights, as the configs of a project name them.

    Attributes:
        init_cfg (dict): ``init_cfg`` of backbone and neck.
        pixels (dict): ``mean`` and ``std``, three numbers each on the scale
            of 0 to 255, that photos in RGB are normalised with.
    """
    init_cfg: dict[str, Any]
    pixels: dict[str, list[float]]


def read_pretrained_file(path: Path, size: str) -> PretrainedFile:
    """Check that a file has the weights of the classifier of a project.

    Args:
        path (Path): File name.
        size (str): Size of the project, 'mobile' or 'base'.

    Returns:
        PretrainedFile: How configs name it. Photos are normalised as the
        ``meta`` of the file says (``mean`` and ``std``), else as is usual
        for ImageNet.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or holds other weights.
    """
    checkpoint = read_checkpoint(path)
    weights = weights_of(checkpoint, path)
    refuse_nan(weights, str(path))
    model = Config.fromfile(
        config_path(f'_base_/photos/classifier_{size}.py')).model
    wanted: dict[str, tuple[int, ...]] = {}
    for part in ('backbone', 'neck'):
        if part in model:
            module = MODELS.build(
                dict(model[part], init_cfg=None, _scope_='mmseg'))
            wanted.update((name, tuple(value.shape))
                          for name, value in module.state_dict().items()
                          if not name.endswith('num_batches_tracked'))
    lacking = {
        prefix: [
            name for name, shape in wanted.items() if prefix +
            name not in weights or tuple(weights[prefix + name].shape) != shape
        ]
        for prefix in _PREFIXES
    }
    prefix = min(_PREFIXES, key=lambda prefix: len(lacking[prefix]))
    if lacking[prefix]:
        name = lacking[prefix][0]
        found = weights.get(prefix + name)
        raise ValueError(
            f'{path} does not hold the weights of {model.backbone.type} that '
            f'--size {size} starts from: {len(lacking[prefix])} of '
            f'{len(wanted)} are missing or of another shape, such as {name} '
            f'{wanted[name]}' + (f', which is {tuple(found.shape)} there'
                                 if found is not None else '') +
            f'. It holds {listed(list(weights), 3)}. Give a file with the '
            'names of MMSegmentation or MMPretrain')
    init_cfg = dict(type='Pretrained', checkpoint=str(path.absolute()))
    if prefix:
        init_cfg['prefix'] = prefix.rstrip('.')
    meta = checkpoint.get('meta') if isinstance(checkpoint, dict) else None
    pixels = {
        key: _three_numbers(meta.get(key)) if isinstance(meta, dict) else None
        for key in _IMAGENET
    }
    if None in pixels.values():
        return PretrainedFile(init_cfg, _IMAGENET)
    return PretrainedFile(init_cfg, pixels)


def missing_downloads(size: str) -> dict[str, str]:
    """Find the weights that the first training of a project will fetch.

    Args:
        size (str): Size of the project, 'mobile', 'base' or 'small'.

    Returns:
        dict[str, str]: The file that each is kept in, by its address.

    Raises:
        FileNotFoundError: If a package with names of weights is missing.
    """
    wanted = {}
    for name in ('classifier', 'segmentor'):
        cfg = Config.fromfile(config_path(f'_base_/photos/{name}_{size}.py'))
        for setting, source in pretrained(cfg.model):
            download = find_download(setting, source)
            if download and not Path(download.cached).is_file():
                wanted[download.url] = download.cached
    return wanted


def _three_numbers(value: Any) -> list[float] | None:
    if isinstance(value, list | tuple) and len(value) == 3 and all(
            isinstance(each, int | float) for each in value):
        return [float(each) for each in value]
    return None
