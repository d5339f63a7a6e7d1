"""A map method: images are classified by the highest tenth of the scores."""
from mmseg.registry import MODELS
from torch import nn

from mmlpcam.models import MapHead
from mmlpcam.ops import flip_average
from mmlpcam.structures import MapType, register_map_type

register_map_type(MapType('topk', 'Top-k CAM'))


@MODELS.register_module()
class TopKHead(MapHead):
    map_types = ('topk', )

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.conv_seg = nn.Conv2d(self.in_channels, self.num_classes - 1, 1)

    def classify(self, feats):
        scores = self.conv_seg(feats[-1]).flatten(2)
        return scores.topk(-(-scores.shape[2] // 10)).values.mean(2)

    def maps(self, feats, map_type, classes, *, flip):
        self.check_map_type(map_type)
        maps = self.conv_seg(feats[-1])[:, [*classes]].relu()
        return flip_average(maps) if flip else maps
