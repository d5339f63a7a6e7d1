import os.path as osp
from typing import Any

from mmseg.registry import DATASETS

from .image_label_sources import listed
from .wrappers import SegDatasetWrapper


@DATASETS.register_module()
class ActivationMapDataset(SegDatasetWrapper):
    """Give each image of a dataset its stored maps.

    The metainfo of each data sample gets ``map_path``, ``<map_dir>/<image
    id>.npz`` (see :class:`~mmlpcam.structures.ActivationMaps`), ``image_id``
    and ``sample_idx``.

    Args:
        dataset (dict | BaseDataset): The dataset to wrap, see
            :class:`SegDatasetWrapper`.
        map_dir (str): Folder of the maps, as ``PseudoLabelWriter`` with
            ``save_maps=True`` leaves it.
        lazy_init (bool): Whether to wait with the checks until the samples
            are needed. Defaults to False.
        check_files (bool): Whether to check that every image is readable and
            has maps. Defaults to True.

    Raises:
        FileNotFoundError: Maps are missing.
        ValueError: ``map_dir`` names a stage, but no stages are run.
    """

    def __init__(self,
                 dataset: Any,
                 map_dir: str,
                 *,
                 lazy_init: bool = False,
                 check_files: bool = True) -> None:
        if str(map_dir).startswith('stage://'):
            raise ValueError(
                f'ActivationMapDataset: map_dir={map_dir!r} names a stage and '
                'is resolved by StagedRunner. Run tools/train.py with a '
                "config that has runner_type='StagedRunner', or give the "
                'folder of the maps.')
        self.map_dir = str(map_dir)
        super().__init__(dataset, lazy_init=lazy_init, check_files=check_files)

    def _map_path(self, image_id: str) -> str:
        return osp.join(self.map_dir, image_id + '.npz')

    def _prepare(self, images: dict[str, str]) -> None:
        """Check that all maps are there."""
        super()._prepare(images)
        if not self.check_files:
            return
        absent = [i for i in images if not osp.isfile(self._map_path(i))]
        if absent:
            raise FileNotFoundError(
                f'ActivationMapDataset: {len(absent)} of {len(images)} images '
                f'have no maps <image id>.npz in map_dir {self.map_dir!r}: '
                f'{listed(absent)}. Run the stage that writes maps '
                '(save_maps=True) for all of them.')

    def _amend(self, info: dict) -> None:
        info['map_path'] = self._map_path(info['image_id'])

    def _finish(self, sample: Any, info: dict) -> None:
        sample['data_samples'].set_metainfo({
            key: info[key]
            for key in ('map_path', 'sample_idx', 'image_id')
        })
