"""What is told of a prototype bank that was filled."""
import logging
import os
from collections.abc import Sequence
from typing import NamedTuple

from mmengine.logging import print_log
from prettytable import PrettyTable
from torch import Tensor

from mmlpcam.models.prototype_bank import SIDES
from mmlpcam.utils import read_checkpoint, reading

CLUSTERS = 'prototype_clusters'
"""str: Where the message hub of a checkpoint has a :obj:`ClusterTable`."""


class Clusters(NamedTuple):
    """One clustering of a class, of one side.

    Attributes:
        centers (Tensor): (K, D) float32.
        counts (Tensor): (K, ) int64, features of each.
        scores (Tensor): (K, ) float32, those that the classifier gives to the
            centres for the class, in [0, 1].
        kept (Tensor): (K, ) bool, whether they are prototypes.
    """
    centers: Tensor
    counts: Tensor
    scores: Tensor
    kept: Tensor

    @property
    def prototypes(self) -> Tensor:
        """Tensor: The centres that are prototypes, (P, D)."""
        return self.centers[self.kept]

    def rows(self) -> list[tuple[int, float, bool]]:
        """Return features, score and fate of each centre, as plain values.

        Returns:
            list[tuple[int, float, bool]]: K rows; prototypes among them are
            in the order that the bank has them in.
        """
        return list(
            zip(self.counts.tolist(), self.scores.tolist(),
                self.kept.tolist()))


# For each class the rows of both sides, see `Clusters.rows`.
ClusterTable = list[dict[str, list[tuple[int, float, bool]]]]


class ClassCounts(NamedTuple):
    """Numbers of one class, over all ranks and clusterings.

    Attributes:
        name (str): Name of the class.
        features (int): Foreground features.
        centers (int): Their cluster centres.
        prototypes (int): The centres that were selected.
        context_features (int): Context features.
        context_centers (int): Their cluster centres.
        context_prototypes (int): The centres that were selected.
    """
    name: str
    features: int
    centers: int
    prototypes: int
    context_features: int
    context_centers: int
    context_prototypes: int


def read_clusters(path: str | os.PathLike) -> ClusterTable | None:
    """Read what a checkpoint tells of the clusters of its bank.

    Args:
        path (str | os.PathLike): Checkpoint.

    Returns:
        ClusterTable | None: None if it tells nothing, as those that were
        converted or written by older versions.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not whole, or the clusters are no such table.
    """
    content = read_checkpoint(path)
    with reading(path, 'checkpoint', 'use another one'):
        hub = content.get('message_hub') or {}
        table = hub.get('runtime_info', {}).get(CLUSTERS)
        return None if table is None else [{
            side: [(int(features), float(score), bool(kept))
                   for features, score, kept in rows[side]]
            for side in SIDES
        } for rows in table]


def totals(clusterings: Sequence[Clusters]) -> tuple[int, int]:
    """Count what clusterings of a class have found.

    Args:
        clusterings (Sequence[Clusters]): Clusterings of one side.

    Returns:
        tuple[int, int]: Their centres and their prototypes.
    """
    return (sum(len(each.centers) for each in clusterings),
            sum(len(each.prototypes) for each in clusterings))


def log_bank(counts: Sequence[ClassCounts], mu_b_low: float,
             mu_b: float) -> None:
    """Log a table of the bank, and warn of classes that lack prototypes.

    Args:
        counts (Sequence[ClassCounts]): Those of each class.
        mu_b_low (float): Score that context prototypes exceed.
        mu_b (float): Score that they are below.
    """
    table = PrettyTable([
        'class', 'features', 'centres', 'prototypes', 'context features',
        'context centres', 'context prototypes'
    ])
    table.add_rows(counts)
    print_log(f'prototype bank:\n{table}', logger='current')
    empty = [each.name for each in counts if not each.prototypes]
    flooded = [
        each.name for each in counts
        if each.prototypes and not each.context_prototypes
    ]
    if empty:
        print_log(
            f'{", ".join(empty)}: no foreground feature, so these maps will '
            'be empty; either no image has the label, or the classifier gives '
            'it no positive score anywhere: train it longer (a higher '
            'max_epochs), or from better weights',
            logger='current',
            level=logging.WARNING)
    if flooded:
        print_log(
            f'{", ".join(flooded)}: no context prototype, so nothing is '
            'subtracted from these maps, which then cover much of the image; '
            f'context needs a score between mu_b_low {mu_b_low} and mu_b '
            f'{mu_b}',
            logger='current',
            level=logging.WARNING)
