"""Which images, and which of their features, prototypes are made of."""
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

# A point is identified by (image, repeat, position); see point_keys().
_MAX_POSITIONS = 1 << 24
MAX_REPEATS = 1 << 10
"""int: How often an image may be drawn at most."""


def draw_images(labels: Sequence[Sequence[int]], num_classes: int,
                images_per_class: int | None,
                seed: int) -> list[dict[int, int]]:
    """Choose the images whose features are clustered.

    Args:
        labels (Sequence[Sequence[int]]): Foreground classes of each image.
        num_classes (int): Number of foreground classes.
        images_per_class (int, optional): Draws per class, with replacement;
            None takes every image of the class once.
        seed (int): Seed of the draws.

    Returns:
        list[dict[int, int]]: For each class, how often each image counts.
    """
    members = [[] for _ in range(num_classes)]
    for image, present in enumerate(labels):
        for label in present:
            members[label].append(image)
    if images_per_class is None:
        return [dict.fromkeys(images, 1) for images in members]
    rng = np.random.RandomState(seed)
    repeats = []
    for images in members:
        drawn = rng.choice(images, images_per_class) if images else []
        repeats.append({
            int(i): int(n)
            for i, n in zip(*np.unique(drawn, return_counts=True))
        })
    return repeats


def share_features(repeats: list[dict[int, int]],
                   bound: int | None) -> list[dict[int, list[int | None]]]:
    """Share the features of a class out to its images.

    The shares of a class differ by one at most and add up to the bound.

    Args:
        repeats (list[dict[int, int]]): Of :func:`draw_images`.
        bound (int, optional): Most features of a class and side; None is no
            bound.

    Returns:
        list[dict[int, list[int | None]]]: For each class, how many features
        each image may give each time that it was drawn.
    """
    quota = []
    for images in repeats:
        total, before = sum(images.values()), 0
        shares = {}
        for image, number in images.items():
            shares[image] = [
                None if bound is None else bound * (i + 1) // total -
                bound * i // total for i in range(before, before + number)
            ]
            before += number
        quota.append(shares)
    return quota


def subsample(positions: Tensor, quota: int | None,
              rng: np.random.Generator) -> Tensor:
    """Draw positions without replacement.

    Args:
        positions (Tensor): Positions (N, ), int64, on the CPU.
        quota (int, optional): Number to draw; None takes all.
        rng (np.random.Generator): Draws.

    Returns:
        Tensor: Positions in their order, at most `quota`.
    """
    if quota is None or len(positions) <= quota:
        return positions
    chosen = rng.choice(len(positions), quota, replace=False)
    return positions[torch.from_numpy(np.sort(chosen))]


def point_keys(image: int, repeat: int, positions: Tensor) -> Tensor:
    """Number the points of all images, whatever the ranks and their order.

    Args:
        image (int): Index of the image.
        repeat (int): How often it was drawn before.
        positions (Tensor): Positions in it, (N, ) int64.

    Returns:
        Tensor: Unique keys, (N, ) int64.
    """
    return (image * MAX_REPEATS + repeat) * _MAX_POSITIONS + positions
