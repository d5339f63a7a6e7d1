"""Where the classes of an image come from.

A source gives each image its foreground classes. An *image id* is the path of
the image relative to the image folder, without extension and with ``/``
between folders: ``2007_000032`` or ``sub/dir/photo1``. Labels are 0-based
indices into the *foreground* classes, that is into ``classes[1:]`` of a
dataset whose class 0 is the background.
"""
from .base import ImageLabelSource, Labels
from .coco_json import COCOJSONLabels
from .cvat_xml import CVATXMLLabels
from .folder import FolderLabels
from .image_finder import ImageFinder, check_all_labeled
from .json_file import JSONLabels
from .label_files import existing_path, label_file, read_label_json
from .label_studio import LabelStudioLabels
from .loading import load_labels
from .mask import MaskLabels
from .mmpretrain_json import MMPretrainJSONLabels
from .npy import NPYLabels
from .table import CSVLabels
from .tag_encoder import TagEncoder
from .voc_xml import VOCXMLLabels

__all__ = [
    'COCOJSONLabels', 'CSVLabels', 'CVATXMLLabels', 'FolderLabels',
    'ImageFinder', 'ImageLabelSource', 'JSONLabels', 'LabelStudioLabels',
    'Labels', 'MMPretrainJSONLabels', 'MaskLabels', 'NPYLabels', 'TagEncoder',
    'VOCXMLLabels', 'check_all_labeled', 'existing_path', 'label_file',
    'load_labels', 'read_label_json'
]
