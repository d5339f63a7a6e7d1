"""Where the classes of an image come from.

A source maps image ids to foreground classes. An *image id* is the path of
the image relative to the image folder, without extension and with ``/``
between folders: ``2007_000032`` or ``sub/dir/photo1``. Labels are 0-based
indices into the *foreground* classes, that is into ``classes[1:]`` of a
dataset whose class 0 is the background.
"""
from .base import ImageLabelSource, Labels
from .coco_json import COCOJSONLabels
from .folder import FolderLabels
from .json_file import JSONLabels
from .mask import MaskLabels
from .npy import NPYLabels
from .table import CSVLabels
from .voc_xml import VOCXMLLabels

__all__ = [
    'COCOJSONLabels', 'CSVLabels', 'FolderLabels', 'ImageLabelSource',
    'JSONLabels', 'Labels', 'MaskLabels', 'NPYLabels', 'VOCXMLLabels'
]
