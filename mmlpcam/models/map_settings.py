"""How maps are made of an image."""
from collections.abc import Sequence
from typing import NamedTuple

from mmlpcam.ops import covered_size


class MapSettings(NamedTuple):
    """How maps are made of an image, whatever makes them.

    Attributes:
        scales (Sequence[float]): Factors of the image size whose maps are
            fused.
        flip (bool): Whether to fuse the maps of mirror images.
        stride (int): Stride of the features in pixels.
        rounding (str): Whether the features have a cell for the pixels that
            are left over at the right and bottom ('ceil', as padded
            convolutions do) or drop these ('floor', as patch embeddings do).
    """
    scales: Sequence[float] = (1.0, 0.5, 1.5, 2.0)
    flip: bool = True
    stride: int = 16
    rounding: str = 'ceil'

    def changed(self, **changes) -> 'MapSettings':
        """Return these settings with some changed.

        Args:
            **changes: New values; None changes nothing.

        Returns:
            MapSettings: The settings, with scales as a tuple.

        Raises:
            ValueError: If a value is out of range.
        """
        given = {k: v for k, v in changes.items() if v is not None}
        new = self._replace(**given)
        if new.stride < 1 or new.rounding not in ('ceil', 'floor'):
            raise ValueError(
                "expected `stride` >= 1 and `rounding` 'ceil' or 'floor', but "
                f'got {new.stride} and {new.rounding!r}')
        if not new.scales or min(new.scales) <= 0:
            raise ValueError('`scales` must hold factors above 0, but are '
                             f'{tuple(new.scales)}')
        return new._replace(scales=tuple(new.scales))

    def cells(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the size of the feature map of an image.

        Args:
            size (tuple[int, int]): Image size (H, W) in pixels.

        Returns:
            tuple[int, int]: Rows and columns.
        """
        if self.rounding == 'floor':
            return size[0] // self.stride, size[1] // self.stride
        height, width = covered_size(size, self.stride)
        return height // self.stride, width // self.stride

    def extent(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the size of the area that the maps of an image cover.

        Args:
            size (tuple[int, int]): Image size (H, W) in pixels.

        Returns:
            tuple[int, int]: At least the size of the image. Where pixels are
            dropped, maps are stretched over these.
        """
        if self.rounding == 'floor':
            return size
        return covered_size(size, self.stride)
