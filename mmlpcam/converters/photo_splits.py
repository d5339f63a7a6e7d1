"""Which photos of a project are kept back for scores."""
from collections import Counter

import numpy as np

from mmlpcam.datasets import Labels

MIN_PHOTOS = 8  # a batch of the small segmentor


def choose_val(masked: list[str], fraction: float, seed: int) -> list[str]:
    """Draw the photos that validate the segmentor.

    Args:
        masked (list[str]): Ids of photos with a mask, two or more.
        fraction (float): Share to draw, in (0, 1).
        seed (int): Seed of the choice.

    Returns:
        list[str]: At least one, and not all, sorted.
    """
    count = min(max(round(fraction * len(masked)), 1), len(masked) - 1)
    rng = np.random.default_rng(seed)
    return sorted(rng.permutation(masked)[:count].tolist())


def choose_tag_val(labels: Labels, image_ids: list[str], fraction: float,
                   seed: int) -> list[str]:
    """Draw the photos that score the classifier.

    The rarest class comes first, so that each gets its share of them, and
    photos without any class are the last.

    Args:
        labels (Labels): Class indices by photo.
        image_ids (list[str]): Photos to draw from.
        fraction (float): Share to draw, in [0, 1).
        seed (int): Seed of the choice.

    Returns:
        list[str]: Ids, sorted; so few that ``MIN_PHOTOS`` are left.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(sorted(image_ids)).tolist()
    room = len(order) - MIN_PHOTOS
    with_class = Counter(c for i in order for c in labels[i])
    groups = [[i for i in order if c in labels[i]]
              for c in sorted(with_class, key=lambda c: (with_class[c], c))]
    groups.append([i for i in order if not labels[i]])
    chosen: dict[str, None] = {}
    for group in groups:
        wanted = round(fraction * len(group)) - sum(i in chosen for i in group)
        rest = [i for i in group if i not in chosen]
        chosen.update(dict.fromkeys(rest[:max(wanted, 0)]))
    return sorted(list(chosen)[:max(room, 0)])
