"""Storage of local prototypes."""
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmlpcam.ops import prototype_direction, unwhiten, whiten

SIDES = ('class', 'context')
"""tuple[str, str]: The two kinds of prototypes of a class."""


class PrototypeBank(nn.Module):
    """Class and context prototypes of all classes, in fixed-size buffers.

    The buffers have the same size whatever was selected, so that they travel
    in any checkpoint; masks tell which rows are prototypes. Maps follow from
    the directions alone, which may average several generations of
    prototypes, or several clusterings of one; the prototypes are those of the
    last generation, from its first clustering that has any.

    Attributes:
        class_prototypes (Tensor): (C, K, D) float32.
        class_valid (Tensor): (C, K) bool.
        class_direction (Tensor): (C, D) float32, the mean unit prototype;
            zero for a class that has none.
        context_prototypes (Tensor): (C, K, D) float32.
        context_valid (Tensor): (C, K) bool.
        context_direction (Tensor): (C, D) float32.
        whitening_mean (Tensor): (D, ) float32, where features are whitened,
            see :func:`mmlpcam.ops.fit_whitening`.
        whitening_matrix (Tensor): (r, D) float32, where they are.

    Args:
        num_classes (int): Number of foreground classes C.
        num_clusters (int): Most prototypes K per class and side.
        channels (int): Feature channels D.
        whitening (int, optional): Number of dimensions r that features are
            whitened to before they are clustered and compared (PCA,
            https://arxiv.org/abs/2605.22492); prototypes and directions then
            have r channels in the place of D. Defaults to None: features are
            taken as they are.

    Raises:
        ValueError: If `num_clusters` is below 1, or `whitening` is not in
            [1, D].
    """

    class_prototypes: Tensor
    class_valid: Tensor
    class_direction: Tensor
    context_prototypes: Tensor
    context_valid: Tensor
    context_direction: Tensor
    whitening_mean: Tensor
    whitening_matrix: Tensor

    def __init__(self,
                 num_classes: int,
                 num_clusters: int,
                 channels: int,
                 whitening: int | None = None) -> None:
        super().__init__()
        if num_clusters < 1:
            raise ValueError('`num_clusters` must be at least 1, but is '
                             f'{num_clusters}')
        self.is_whitened = whitening is not None
        if whitening is not None:
            if type(whitening) is not int or not 1 <= whitening <= channels:
                raise ValueError('`whitening` must be a whole number in '
                                 f'[1, {channels}], but is {whitening!r}')
            self.register_buffer('whitening_mean', torch.zeros(channels))
            self.register_buffer('whitening_matrix',
                                 torch.zeros(whitening, channels))
            channels = whitening
        shape = (num_classes, num_clusters)
        for side in SIDES:
            self.register_buffer(f'{side}_prototypes',
                                 torch.zeros(*shape, channels))
            self.register_buffer(f'{side}_valid',
                                 torch.zeros(*shape, dtype=torch.bool))
            self.register_buffer(f'{side}_direction',
                                 torch.zeros(num_classes, channels))

    @property
    def is_built(self) -> bool:
        """bool: Whether any class has a prototype."""
        return bool(self.class_valid.any())

    def compared(self, feats: Tensor) -> Tensor:
        """Return features as they are clustered and compared.

        Args:
            feats (Tensor): Local features, (N, D) or (N, D, h, w).

        Returns:
            Tensor: The same, or whitened, with r channels.
        """
        if not self.is_whitened:
            return feats
        return whiten(feats, self.whitening_mean, self.whitening_matrix)

    def raw(self, centers: Tensor) -> Tensor:
        """Return centres at the scale that a classifier knows.

        Args:
            centers (Tensor): Centres of features as they are compared.

        Returns:
            Tensor: (K, D); without the dimensions that whitening drops.
        """
        if not self.is_whitened:
            return centers
        return unwhiten(centers, self.whitening_mean.to(centers),
                        self.whitening_matrix.to(centers))

    def check_momentum(self, momentum: float) -> None:
        """Check that prototypes can be averaged with those before.

        Args:
            momentum (float): Of :meth:`set_class`.

        Raises:
            ValueError: If they cannot.
        """
        if momentum < 1 and self.is_whitened:
            raise ValueError(
                'whitened features of two banks have different axes, and '
                'their prototypes no average: set momentum=1, or '
                'whitening=None in the head')

    def set_class(
        self,
        label: int,
        class_prototypes: Tensor,
        context_prototypes: Tensor,
        momentum: float = 1.,
        others: Sequence[tuple[Tensor, Tensor]] = ()
    ) -> None:
        r"""Replace the prototypes of one class, or average with those before.

        With a momentum m below 1, directions move by

        .. math:: d \leftarrow (1 - m) \, d + m \, d_{new}

        so that maps, before they are rectified, are averages too. A side
        (class or context) that has no direction yet is set; one for which
        nothing new was found keeps what it has.

        Args:
            label (int): 0-based foreground class.
            class_prototypes (Tensor): (P, D), 0 <= P <= K.
            context_prototypes (Tensor): (B, D), 0 <= B <= K.
            momentum (float): Weight of the new prototypes, in (0, 1], as in
                MMEngine's ``EMAHook``. Defaults to 1: nothing of the old
                ones is kept.
            others (Sequence[tuple[Tensor, Tensor]]): Class and context
                prototypes of other clusterings, whose directions are averaged
                with those of the first; they are not kept. An empty set
                counts as zero. Defaults to none.

        Raises:
            ValueError: If there are more than `num_clusters` prototypes, or
                their channels differ from the bank's.
        """
        num_clusters, channels = self.class_prototypes.shape[1:]
        runs = [(class_prototypes, context_prototypes), *others]
        for rows in (rows for run in runs for rows in run):
            if rows.ndim != 2 or rows.shape[1] != channels or len(
                    rows) > num_clusters:
                raise ValueError(
                    f'the bank takes up to {num_clusters} prototypes of '
                    f'{channels} channels per class and side, but got '
                    f'{tuple(rows.shape)} for class {label}: set the '
                    'num_clusters of the head to the number of clusters')
        for side, found in zip(SIDES, zip(*runs)):
            if momentum < 1 and not any(len(rows) for rows in found):
                continue
            prototypes = getattr(self, f'{side}_prototypes')[label]
            valid = getattr(self, f'{side}_valid')[label]
            direction = getattr(self, f'{side}_direction')[label]
            new = torch.stack([
                prototype_direction(rows, rows[:0])
                for rows in (rows.to(prototypes) for rows in found)
            ]).mean(0)
            direction.lerp_(new, momentum if valid.any() else 1.)
            rows = next((rows for rows in found if len(rows)), found[0])
            prototypes.zero_()
            prototypes[:len(rows)] = rows.to(prototypes)
            valid.copy_(
                torch.arange(num_clusters, device=valid.device) < len(rows))

    def directions(self, with_context: bool = True) -> Tensor:
        """Return the rows for :func:`mmlpcam.ops.activation_maps`.

        Args:
            with_context (bool): Whether to subtract the context prototypes;
                False gives the paper's LPCAM-F. Defaults to True.

        Returns:
            Tensor: (C, D) float32; zero for a class without prototypes.
        """
        if not with_context:
            return self.class_direction
        return self.class_direction - self.context_direction

    def extra_repr(self) -> str:
        """Show sizes when printed."""
        classes, num_clusters, channels = self.class_prototypes.shape
        return (f'num_classes={classes}, num_clusters={num_clusters}, '
                f'channels={channels}')
