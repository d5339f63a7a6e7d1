"""Where the weights are that a run starts with."""
import os
import os.path as osp
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlparse

import torch
from mmengine.config import Config
from mmengine.runner.checkpoint import (get_deprecated_model_names,
                                        get_external_models, get_mmcls_models,
                                        get_torchvision_models)

from .common import LATER

_TIMEOUT = 5  # seconds for a server to answer
_GONE = (404, 410)


class Download(NamedTuple):
    """Weights on a server.

    Attributes:
        url (str): Their address.
        cached (str): File that a download is kept in, and looked for.
    """
    url: str
    cached: str


def check_weights(cfg: Config, task: str) -> None:
    """Look for all weights that a run starts with.

    Args:
        cfg (Config): Its config.
        task (str): 'train' or 'test'; a test needs no weights of parts of
            the model.

    Raises:
        FileNotFoundError: If weights cannot be had.
        ValueError: If a name of the model zoo is not known.
    """
    wanted = list(pretrained(cfg.model, 'model')) if task == 'train' else []
    if cfg.get('load_from'):
        wanted.append(('load_from', cfg.load_from))
    for name, source in dict.fromkeys(wanted):
        if not str(source).startswith(LATER):  # an earlier stage writes it
            _check_source(name, str(source))


def find_download(name: str, source: str) -> Download | None:
    """Look up where weights are fetched from.

    Args:
        name (str): Name of the setting, for messages.
        source (str): Its value: a file, an address, or a name in a model zoo.

    Returns:
        Download | None: None if it is nothing on a web server.

    Raises:
        FileNotFoundError: If a package with such names is missing.
        ValueError: If a name of the model zoo is not known.
    """
    return _download(_url(name, source))


def _download(url: str) -> Download | None:
    if not url.startswith(('http://', 'https://')):
        return None
    # as torch.hub.load_state_dict_from_url keeps them
    cached = osp.join(torch.hub.get_dir(), 'checkpoints',
                      osp.basename(urlparse(url).path))
    return Download(url, cached)


def pretrained(node: Any, name: str = 'model') -> Iterator[tuple[str, str]]:
    """Find the weights that parts of a model start with.

    Args:
        node (Any): Config of the model, or of a part.
        name (str): Name of this part. Defaults to 'model'.

    Yields:
        tuple[str, str]: Name of the setting, and its value.
    """
    if isinstance(node, Mapping):
        if node.get('type') in ('Pretrained', 'PretrainedInit') and isinstance(
                node.get('checkpoint'), str):
            yield f'{name}.checkpoint', node['checkpoint']
        if isinstance(node.get('pretrained'), str):
            yield f'{name}.pretrained', node['pretrained']
        for key, value in node.items():
            yield from pretrained(value, f'{name}.{key}')
    elif isinstance(node, list | tuple):
        for i, value in enumerate(node):
            yield from pretrained(value, f'{name}.{i}')


def _check_source(name: str, source: str) -> None:
    url = _url(name, source)
    if '://' not in url:
        if not osp.isfile(url) or not os.access(url, os.R_OK):
            raise FileNotFoundError(
                f'{name}={source!r} '
                f'{"cannot be read" if osp.exists(url) else "does not exist"}'
                ': correct the path of the weights, which starts at the '
                f'current folder {os.getcwd()!r}')
        return
    download = _download(url)
    if download is None:
        return  # on a file system of its own
    cached = download.cached
    if osp.isfile(cached):
        return
    try:
        request = urllib.request.Request(url, method='HEAD')
        urllib.request.urlopen(request, timeout=_TIMEOUT).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code not in _GONE:
            return  # it is there, but answers in its own way
        reason = str(error)
    except OSError as error:
        reason = str(getattr(error, 'reason', error))
    else:
        return
    raise FileNotFoundError(
        f'{name}={source!r}: the weights cannot be had from {url} ({reason}), '
        f'and are not in the cache. Fetch that file elsewhere and put it to '
        f'{cached}, or give a file: {name}=FILE; {_without(name)} starts '
        'without them')


def _without(name: str) -> str:
    """Say which setting leaves weights out."""
    return f'{name.removesuffix(".checkpoint")}=None'


def _url(name: str, source: str) -> str:
    """Look names of the model zoos up."""
    scheme, _, model = source.partition('://')
    if scheme in ('torchvision', 'modelzoo'):
        try:
            known = get_torchvision_models()
        except ImportError as error:
            raise FileNotFoundError(
                f'{name}={source!r} needs the package torchvision, which '
                f'knows where the weights are ({error}): install it, or give '
                f'a file: {name}=FILE') from error
    elif scheme == 'mmcls':
        known = get_mmcls_models()
    elif scheme in ('open-mmlab', 'openmmlab'):
        known = get_external_models()
        model = get_deprecated_model_names().get(model, model)
    else:
        return source
    if model not in known:
        raise ValueError(
            f'{name}={source!r}: there is no {model!r} in the list of '
            f'{scheme}, which has, for example, {", ".join(sorted(known)[:5])}'
        )
    return known[model]
