"""Masks as annotation tools exchange them."""
from .base import MaskFormat, NamedMask
from .coco_rle import COCORLEMasks
from .cvat import CVATMasks
from .label_studio import LabelStudioMasks, decode_brush, encode_brush

MASK_FORMATS: dict[str, type[MaskFormat]] = {
    'coco-rle': COCORLEMasks,
    'cvat': CVATMasks,
    'label-studio': LabelStudioMasks
}
"""dict[str, type[MaskFormat]]: The formats by the name that tools take."""

__all__ = [
    'COCORLEMasks', 'CVATMasks', 'LabelStudioMasks', 'MASK_FORMATS',
    'MaskFormat', 'NamedMask', 'decode_brush', 'encode_brush'
]
