"""Models: importing this package registers them with MMSegmentation."""
from .cam_head import CAMHead
from .cam_segmentor import CAMSegmentor
from .pointwise_neck import PointwiseNeck
from .prototype_bank import PrototypeBank

__all__ = ['CAMHead', 'CAMSegmentor', 'PointwiseNeck', 'PrototypeBank']
