"""What lies inside data sets and pipelines."""
from collections.abc import Iterator, Sequence
from typing import Any


def nested_datasets(dataset: Any) -> Iterator[Any]:
    """Yield a dataset and all those inside it.

    Args:
        dataset (Any): Dataset, wrapper or concatenation.

    Yields:
        Any: The outermost ones first.
    """
    yield dataset
    inner = list(getattr(dataset, 'datasets', []))
    if hasattr(dataset, 'dataset'):
        inner.append(dataset.dataset)
    for each in inner:
        yield from nested_datasets(each)


def check_same_classes(dataset: Any) -> None:
    """Refuse joined datasets whose indices would mean different classes.

    ``ConcatDataset`` compares classes, but not with
    ``ignore_keys=['classes']``. Upper and lower case do not count.

    Args:
        dataset (Any): Dataset, wrapper or concatenation.

    Raises:
        ValueError: If datasets in it differ in their classes.
    """
    found = [(getattr(each, 'metainfo', None) or {}).get('classes')
             for each in nested_datasets(dataset)]
    for classes in found:
        if classes and found[0] and folded(classes) != folded(found[0]):
            raise ValueError(
                'datasets that are joined differ in their classes: '
                f'{list(found[0])} and {list(classes)}. An index would mean '
                "two classes: give both the same metainfo['classes']")


def folded(classes: Sequence[str]) -> list[str]:
    """Return class names without the difference of upper and lower case.

    Args:
        classes (Sequence[str]): The names.

    Returns:
        list[str]: As many.
    """
    return [name.casefold() for name in classes]


def nested_transforms(pipeline: Any) -> Iterator[Any]:
    """Yield all transforms of a pipeline, also those inside others.

    Args:
        pipeline (Any): Transform, list of them, or Compose.

    Yields:
        Any: The outer ones first.
    """
    if isinstance(pipeline, list | tuple):
        for item in pipeline:
            yield from nested_transforms(item)
    else:
        yield pipeline
        # Compose, RandomApply and the like; RandomChoice holds lists
        yield from nested_transforms(getattr(pipeline, 'transforms', ()))


def has_transform(pipeline: Any, kind: type) -> bool:
    """Say if a transform, or one nested in it, is of a kind.

    Args:
        pipeline (Any): Transform, list of them, or Compose.
        kind (type): Class of transforms.

    Returns:
        bool: Whether there is one.
    """
    return any(isinstance(each, kind) for each in nested_transforms(pipeline))


def no_image_message(dataset: Any) -> str:
    """Say where a dataset without images looked for them."""
    found = []
    stack = [dataset]
    while stack:
        node = stack.pop()
        fields = node if isinstance(node, dict) else vars(node)
        stack.extend(fields.get('datasets') or [])
        if fields.get('dataset') is not None:
            stack.append(fields['dataset'])
        elif 'datasets' not in fields:
            found.append(', '.join(f'{key}={fields.get(key)!r}'
                                   for key in ('ann_file', 'data_root',
                                               'data_prefix', 'img_suffix',
                                               'indices') if fields.get(key)))
    return ('the dataset has no image. It looked in '
            f'{" and in ".join(found)}. Check that the list is not empty, '
            'that the image folder is right, and that img_suffix is the '
            'extension of the images')
