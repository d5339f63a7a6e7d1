"""Models: importing this package registers them with MMSegmentation."""
from .amn_prototype_head import AMNPrototypeHead
from .amnet import AMNet, AMNHead
from .aspp_v2_head import ASPPV2Head
from .cam_head import CAMHead
from .cam_segmentor import CAMSegmentor
from .crf_labelers import CRFLabeler, IRLabeler, PSALabeler
from .crf_tta import CRFTTAModel
from .fast_inference import fast_inference, fold_batch_norm, without_plans
from .frozen_backbone import FrozenBackbone
from .hf_backbone import HFBackbone
from .irnet import EdgeHead, IRNet, StemResNet
from .map_head import MapHead, find_map_head, label_vectors
from .map_inference import (MAP_DEFAULTS, classify_images, image_labels,
                            multi_scale_maps, predict_maps, set_map_prediction)
from .map_refiner import MapReader, MapRefiner, TrainingFree
from .map_settings import MapSettings
from .mct_heads import MCTHead, MCTPatchHead
from .mctransformer import MCTransformer
from .multi_scale_segmentor import MultiScaleSegmentor
from .pair_head import PairHead
from .pixel_adaptive_refiner import PixelAdaptiveRefiner
from .pointwise_neck import PointwiseNeck
from .prediction_cfg import check_bg_thr, open_threshold, prediction_settings
from .pretrained_init import PretrainedInit
from .prototype_bank import PrototypeBank
from .prototype_head import PrototypeHead, find_prototype_head
from .psa import AffinityHead, AffinityNet
from .recam_head import ReCAMHead
from .saliency_refiner import SaliencyRefiner
from .stored_maps import StoredMaps

__all__ = [
    'AMNHead', 'AMNPrototypeHead', 'AMNet', 'ASPPV2Head', 'AffinityHead',
    'AffinityNet', 'CAMHead', 'CAMSegmentor', 'CRFLabeler', 'CRFTTAModel',
    'EdgeHead', 'FrozenBackbone', 'HFBackbone', 'IRLabeler', 'IRNet',
    'MAP_DEFAULTS', 'MCTHead', 'MCTPatchHead', 'MCTransformer', 'MapHead',
    'MapReader', 'MapRefiner', 'MapSettings', 'MultiScaleSegmentor',
    'PSALabeler', 'PairHead', 'PixelAdaptiveRefiner', 'PointwiseNeck',
    'PretrainedInit', 'PrototypeBank', 'PrototypeHead', 'ReCAMHead',
    'SaliencyRefiner', 'StemResNet', 'StoredMaps', 'TrainingFree',
    'check_bg_thr', 'classify_images', 'fast_inference', 'find_map_head',
    'find_prototype_head', 'fold_batch_norm', 'image_labels', 'label_vectors',
    'multi_scale_maps', 'open_threshold', 'predict_maps',
    'prediction_settings', 'set_map_prediction', 'without_plans'
]
