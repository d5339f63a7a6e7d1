import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from mmseg.registry import TASK_UTILS

from mmlpcam.utils import reading
from mmlpcam.utils.names import listed
from .base import ImageLabelSource, Labels
from .image_finder import ImageFinder, check_all_labeled
from .label_files import existing_path, read_label_json
from .tag_encoder import TagEncoder

_ADVICE = 'export the project from Label Studio as "JSON", not "JSON-MIN"'
# Label Studio puts eight digits before the name of a file that it is given.
_UPLOAD = re.compile(r'[0-9a-f]{8}-')


@TASK_UTILS.register_module()
class LabelStudioLabels(ImageLabelSource):
    """Labels from choices in Label Studio, exported as "JSON".

    An image is found by ``data.image_id``, or by the only text under ``data``
    that ends in the path or the name of an image. Annotations count,
    predictions and those that were cancelled do not. An annotation without a
    choice says that the image shows no class.

    Args:
        json_file (str): The export.
        from_name (str, optional): Name of the ``<Choices>`` in the labelling
            interface. Defaults to None: the only one.
        ignore_unknown (bool): Whether to leave out choices that are not among
            the classes. Defaults to False: such a choice is an error.
    """

    def __init__(self,
                 json_file: str,
                 from_name: str | None = None,
                 *,
                 ignore_unknown: bool = False) -> None:
        self.json_file = json_file
        self.from_name = from_name
        self.ignore_unknown = ignore_unknown

    def files(self, images: Mapping[str, str]) -> Iterable[str | Path]:
        """See :meth:`ImageLabelSource.files`."""
        return [self.json_file]

    def load(self, images: Mapping[str, str],
             classes: Sequence[str]) -> Labels:
        """See :meth:`ImageLabelSource.load`."""
        path = existing_path(self.json_file, 'LabelStudioLabels: json_file')
        encoder = TagEncoder(classes, ignore_unknown=self.ignore_unknown)
        strangers: list[str] = []
        found: dict[str, tuple[list[str], str]] = {}
        controls: set[str] = set()
        for image_id, results, where in read_annotations(
                path, ImageFinder(images), strangers):
            choices: list[str] = []
            with reading(where, 'annotation with choices', _ADVICE):
                for result in results:
                    if result['type'] == 'choices' and self.from_name in (
                            None, result['from_name']):
                        controls.add(str(result['from_name']))
                        chosen = result['value']['choices']
                        if not isinstance(chosen, list):
                            raise ValueError('expected a list as choices, but '
                                             f'got {chosen!r:.80}')
                        choices += chosen
            found[image_id] = choices, where
        if len(controls) > 1:
            raise ValueError(f'{path} has choices of {len(controls)} kinds: '
                             f'set from_name to one of '
                             f'{listed(sorted(controls))}')
        if found and not controls:
            named = f' named {self.from_name!r}' if self.from_name else ''
            raise ValueError(f'{path} has no choices{named} in any annotation')
        check_all_labeled(
            found, images, f'json_file {str(path)!r}',
            'Expected a task with an annotation for each, not '
            'skipped or cancelled', strangers)
        return {
            image_id: encoder.encode(choices, where)
            for image_id, (choices, where) in found.items()
        }


def read_annotations(path: Path,
                     images: ImageFinder,
                     strangers: list[str] | None = None
                     ) -> Iterator[tuple[str, list[dict], str]]:
    """Read the annotations of an export of Label Studio.

    Args:
        path (Path): JSON file.
        images (ImageFinder): The images; tasks of others are left out.
        strangers (list[str], optional): Gets what those tasks name.

    Yields:
        tuple[str, list[dict], str]: Image id, results of the annotation of
        its task, and file and task in words.

    Raises:
        ValueError: If it is no such export, a task has several annotations,
            or an image several tasks.
    """
    tasks = read_label_json(path)
    if not isinstance(tasks, list):
        raise ValueError(f'{path}: expected a list of tasks: {_ADVICE}')
    seen: set[str] = set()
    for number, task in enumerate(tasks):
        where = f'{path}, task {number}'
        with reading(where, 'task of Label Studio', _ADVICE):
            found = [
                annotation['result'] for annotation in task['annotations']
                if not annotation.get('was_cancelled')
            ]
            data = task['data']
            if not isinstance(data, dict):
                raise ValueError(f'expected an object as data, but got '
                                 f'{data!r:.80}')
        image_id = _image_of(data, images, where)
        if image_id is None:
            if strangers is not None:
                strangers.extend(_texts(data)[:1])
            continue
        where += f', image {image_id!r}'
        if len(found) > 1:
            raise ValueError(f'{where}: it has {len(found)} annotations. Keep '
                             'one, and cancel the others')
        if image_id in seen:
            raise ValueError(f'{where}: another task is of this image. Keep '
                             'one of the two')
        seen.add(image_id)
        if found:
            yield image_id, found[0], where


def _texts(data: Mapping[str, Any]) -> list[str]:
    return [value for value in data.values() if isinstance(value, str)]


def _image_of(data: Mapping[str, Any], images: ImageFinder,
              where: str) -> str | None:
    """Return the image that the data of a task name."""
    if 'image_id' in data:
        name = data['image_id']
        if not isinstance(name, str):
            raise ValueError(f'{where}: expected the name of an image as '
                             f'data.image_id, but got {name!r:.80}')
        return images.find(name, f'{where}, data.image_id')
    found = {
        image_id
        for text in _texts(data)
        if (image_id := _image_at(text, images)) is not None
    }
    if len(found) > 1:
        raise ValueError(
            f'{where}: its data name several images, {listed(sorted(found))}: '
            'say which one it is of as data.image_id')
    return found.pop() if found else None


def _image_at(address: str, images: ImageFinder) -> str | None:
    """Return the image that an address ends in, the longest path first."""
    # /data/local-files/?d=photos/a.jpg, behind the address of a server
    path = re.sub(r'.*/data/local-files/?\?(.*&)?d=', '', address)
    # as it is, since names may hold #, ? and %; then as an address, which may
    # have a signature behind the file
    for text in (path, unquote(re.split('[?#]', path)[0]), unquote(path)):
        names = [
            part for part in text.replace('\\', '/').split('/')
            if part not in ('', '.', '..')
        ]
        if names and _UPLOAD.match(names[-1]):
            names.append(_UPLOAD.sub('', names[-1], count=1))
        for start in range(len(names)):
            try:
                image_id = images.find('/'.join(names[start:]))
            except ValueError:  # with a drive letter, or a text on something
                continue
            if image_id is not None:
                return image_id
    return None
