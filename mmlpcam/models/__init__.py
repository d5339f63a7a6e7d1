"""Models: importing this package registers them with MMSegmentation."""
from .aspp_v2_head import ASPPV2Head
from .cam_head import CAMHead, find_cam_head
from .cam_segmentor import MAP_DEFAULTS, CAMSegmentor, predict_maps
from .crf_tta import CRFTTAModel
from .ir_labeller import IRLabeller
from .irnet import DisplacementHead, EdgeHead, IRNet, StemResNet
from .multi_scale_segmentor import MultiScaleSegmentor
from .official_weights import convert_official_weights
from .pointwise_neck import PointwiseNeck
from .pretrained_init import PretrainedInit
from .prototype_bank import PrototypeBank
from .stored_maps import StoredMaps

__all__ = [
    'ASPPV2Head', 'CAMHead', 'CAMSegmentor', 'CRFTTAModel', 'DisplacementHead',
    'EdgeHead', 'IRLabeller', 'IRNet', 'MAP_DEFAULTS', 'MultiScaleSegmentor',
    'PointwiseNeck', 'PretrainedInit', 'PrototypeBank', 'StemResNet',
    'StoredMaps', 'convert_official_weights', 'find_cam_head', 'predict_maps'
]
