from .coco_objects import COCOObjectsDataset
from .file_checks import check_images, check_masks
from .image_ids import check_shared_masks, with_image_ids
from .image_label_dataset import BACKGROUND_NAMES, ImageLabelDataset
from .label_sources import (COCOJSONLabels, CSVLabels, CVATXMLLabels,
                            FolderLabels, ImageFinder, ImageLabelSource,
                            JSONLabels, Labels, LabelStudioLabels, MaskLabels,
                            MMPretrainJSONLabels, NPYLabels, TagEncoder,
                            VOCXMLLabels, check_all_labeled, existing_path,
                            label_file, load_labels, read_label_json)
from .nesting import nested_datasets
from .parts import PartsDataset
from .photo_folder import PhotoFolderDataset
from .pseudo_label_dataset import PseudoLabelDataset
from .same_size_batches import SameSizeBatchSampler
from .seg_dataset_wrapper import SegDatasetWrapper, check_files
from .shards import (ShardSample, has_shard, read_shard, shard_names,
                     write_shard)
from .transforms import LoadPhoto, LoadPseudoLabel, RandomCanvasCrop

__all__ = [
    'BACKGROUND_NAMES', 'COCOJSONLabels', 'COCOObjectsDataset', 'CSVLabels',
    'CVATXMLLabels', 'FolderLabels', 'ImageFinder', 'ImageLabelDataset',
    'ImageLabelSource', 'JSONLabels', 'LabelStudioLabels', 'Labels',
    'LoadPhoto', 'LoadPseudoLabel', 'MMPretrainJSONLabels', 'MaskLabels',
    'NPYLabels', 'PartsDataset', 'PhotoFolderDataset', 'PseudoLabelDataset',
    'RandomCanvasCrop', 'SameSizeBatchSampler', 'SegDatasetWrapper',
    'ShardSample', 'TagEncoder', 'VOCXMLLabels', 'check_all_labeled',
    'check_files', 'check_images', 'check_masks', 'check_shared_masks',
    'existing_path', 'has_shard', 'label_file', 'load_labels',
    'nested_datasets', 'read_label_json', 'read_shard', 'shard_names',
    'with_image_ids', 'write_shard'
]
