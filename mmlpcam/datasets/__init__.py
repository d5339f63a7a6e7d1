from .coco_objects import COCOObjectsDataset
from .file_checks import check_images, check_masks
from .image_ids import check_shared_masks, with_image_ids
from .image_label_dataset import BACKGROUND_NAMES, ImageLabelDataset
from .label_sources import (COCOJSONLabels, CSVLabels, FolderLabels,
                            ImageLabelSource, JSONLabels, MaskLabels,
                            NPYLabels, VOCXMLLabels)
from .nesting import nested_datasets
from .parts import PartsDataset
from .photo_folder import PhotoFolderDataset
from .pseudo_label_dataset import PseudoLabelDataset
from .seg_dataset_wrapper import SegDatasetWrapper, check_files
from .transforms import LoadPhoto, LoadPseudoLabel, RandomCanvasCrop

__all__ = [
    'BACKGROUND_NAMES', 'COCOJSONLabels', 'COCOObjectsDataset', 'CSVLabels',
    'FolderLabels', 'ImageLabelDataset', 'ImageLabelSource', 'JSONLabels',
    'LoadPhoto', 'LoadPseudoLabel', 'MaskLabels', 'NPYLabels', 'PartsDataset',
    'PhotoFolderDataset', 'PseudoLabelDataset', 'RandomCanvasCrop',
    'SegDatasetWrapper', 'VOCXMLLabels', 'check_files', 'check_images',
    'check_masks', 'check_shared_masks', 'nested_datasets', 'with_image_ids'
]
