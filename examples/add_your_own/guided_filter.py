"""A refiner: maps follow the edges of the photo (He et al., ECCV 2010)."""
from dataclasses import replace
from functools import partial

from mmseg.registry import MODELS
from torch.nn.functional import avg_pool2d

from mmlpcam.models import MapRefiner, TrainingFree
from mmlpcam.structures import MapType, register_map_type

register_map_type(MapType('guided', 'guided filter', is_refined=True))
mean = partial(
    avg_pool2d, kernel_size=17, stride=1, padding=8, count_include_pad=False)


@MODELS.register_module()
class GuidedFilter(MapRefiner, TrainingFree):
    map_type = 'guided'

    def refine(self, images, maps, data_samples):
        return [
            replace(m, scales=[guided(i, m.full())], extent=m.size,
                    source='guided') for i, m in zip(images, maps)
        ]  # yapf: disable


def guided(image, maps, eps=1e-3):
    gray = image.float().mean(0, keepdim=True) / 255
    slope = (mean(gray * maps) - mean(gray) * mean(maps)) / (
        mean(gray**2) - mean(gray)**2 + eps)
    offset = mean(maps) - slope * mean(gray)
    return (mean(slope) * gray + mean(offset)).clamp(min=0)
