"""What is told of a prototype bank that was filled."""
import logging
from collections.abc import Sequence
from typing import NamedTuple

from mmengine.logging import print_log
from prettytable import PrettyTable


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
