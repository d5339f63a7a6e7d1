"""What lies inside data sets and pipelines."""
from collections.abc import Iterator
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


def has_transform(pipeline: Any, kind: type) -> bool:
    """Say if a transform, or one nested in it, is of a kind.

    Args:
        pipeline (Any): Transform, list of them, or Compose.
        kind (type): Class of transforms.

    Returns:
        bool: Whether there is one.
    """
    if isinstance(pipeline, kind):
        return True
    if isinstance(pipeline, list | tuple):
        return any(has_transform(item, kind) for item in pipeline)
    # Compose, RandomApply and the like; RandomChoice holds lists of Compose
    return has_transform(getattr(pipeline, 'transforms', ()), kind)


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
