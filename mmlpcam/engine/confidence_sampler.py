"""Photos with certain masks come up more often."""
from collections.abc import Iterator, Sequence, Sized
from pathlib import Path

import torch
from mmengine.dataset import DefaultSampler
from mmseg.registry import DATA_SAMPLERS
from torch import Tensor

from mmlpcam.datasets import (PseudoLabelDataset, nested_datasets,
                              with_image_ids)
from mmlpcam.evaluation import find_maps, mask_confidence, read_bg_thr
from mmlpcam.structures import ActivationMaps
from mmlpcam.utils import check_no_stage, user_errors
from mmlpcam.utils.parallel import track_on_terminal


@DATA_SAMPLERS.register_module()
class ConfidenceSampler(DefaultSampler):
    """Draw photos in proportion to the confidence of their masks.

    In expectation the loss of a photo then weighs as much as its mask is
    certain, whatever head and loss there are. The confidence is
    :func:`~mmlpcam.evaluation.mask_confidence` of the stored maps, from which
    the masks were made; a photo with a true mask (``true_label_dir`` of
    :class:`~mmlpcam.datasets.PseudoLabelDataset`, or a dataset that is joined
    to such a one and reads its own masks) has 1. An epoch is as long
    as without: a photo whose share of all confidence is p comes up p times
    the number of photos, rounded up or down at random. In a loop by
    iterations it takes the place of ``InfiniteSampler``.

    The maps are read when the first epoch starts.

    Args:
        dataset (Sized): The data, with a mask for each photo.
        map_dir (str): Folder ``maps`` of the stage that made the masks, with
            its ``manifest.json`` beside it.
        **kwargs: See :class:`DefaultSampler`. Without `shuffle`, the photos
            come in their order.
    """

    def __init__(self, dataset: Sized, map_dir: str, **kwargs) -> None:
        super().__init__(dataset, **kwargs)
        self.map_dir = map_dir
        self._shares: Tensor | None = None

    def shares(self) -> Tensor:
        """Compute how much of an epoch each photo takes.

        Returns:
            Tensor: (N, ) float64, sums to 1.

        Raises:
            FileNotFoundError: If a photo has no maps.
            ValueError: If no mask has any confidence, or the manifest does
                not say with which score of the background masks were made.
        """
        if self._shares is None:
            with user_errors():
                check_no_stage(self.map_dir, 'ConfidenceSampler: map_dir')
                self._shares = self._read_shares()
        return self._shares

    def _read_shares(self) -> Tensor:
        ids = with_image_ids(self.dataset).image_ids
        readers = [
            each for each in nested_datasets(self.dataset)
            if isinstance(each, PseudoLabelDataset)
        ]
        made = [i for i in dict.fromkeys(ids) if _has_made_mask(i, readers)]
        folder = find_maps(self.map_dir, made)
        bg_thr = read_bg_thr(Path(self.map_dir).parent / 'manifest.json')
        found = {
            i:
            mask_confidence(ActivationMaps.load(folder / f'{i}.npz'), bg_thr)
            for i in track_on_terminal((made, len(made)), 'maps of photos')
        }
        shares = torch.tensor([found.get(i, 1.) for i in ids],
                              dtype=torch.float64)
        if not shares.sum() > 0:
            raise ValueError(
                f'no mask of {len(ids)} photos has any pixel of a class at '
                f'bg_thr={bg_thr}: lower the score of the background of '
                f'{folder.parent}')
        return shares / shares.sum()

    def __iter__(self) -> Iterator[int]:
        """Iterate over the photos of this process."""
        generator = torch.Generator()
        generator.manual_seed(self.seed + self.epoch)
        offset = torch.rand(1, generator=generator) if self.shuffle else 0.5
        # systematic sampling: points of equal distance on the line of shares
        points = (torch.arange(self.total_size) + offset) / self.total_size
        ends = self.shares().cumsum(0)
        indices = torch.searchsorted(ends, points.to(ends), right=True)
        indices = indices.clamp(max=len(ends) - 1)
        if self.shuffle:
            indices = indices[torch.randperm(
                self.total_size, generator=generator)]
        return iter(indices[self.rank::self.world_size].tolist())


def _has_made_mask(image_id: str,
                   readers: Sequence[PseudoLabelDataset]) -> bool:
    """Whether a photo trains on a mask that was made of maps."""
    # of a reader in another one, the outer one counts
    own = next((each for each in readers if image_id in each.images), None)
    if own is None:
        return not readers
    return not own.has_true_mask(image_id)
