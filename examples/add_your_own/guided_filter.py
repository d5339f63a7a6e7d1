"""A refiner: maps follow the edges of the photo (He et al., ECCV 2010)."""
from dataclasses import replace

from mmseg.registry import MODELS
from torch.nn.functional import avg_pool2d

from mmlpcam.models import MapRefiner, TrainingFree
from mmlpcam.structures import MapType, register_map_type

register_map_type(MapType('guided', 'guided filter', is_refined=True))


@MODELS.register_module()
class GuidedFilter(MapRefiner, TrainingFree):
    map_type = 'guided'
    defaults = dict(bg_thr=0.3, radius=8, eps=1e-3)

    def refine(self, images, maps, data_samples):
        return [
            replace(m, scales=[self.filter(i, m.full())], extent=m.size,
                    source='guided') for i, m in zip(images, maps)
        ]  # yapf: disable

    def filter(self, image, maps):
        size = 2 * self.test_cfg['radius'] + 1

        def mean(x):
            return avg_pool2d(x, size, 1, size // 2, count_include_pad=False)

        gray = image.float().mean(0, keepdim=True) / 255
        slope = (mean(gray * maps) - mean(gray) * mean(maps)) / (
            mean(gray**2) - mean(gray)**2 + self.test_cfg['eps'])
        offset = mean(maps) - slope * mean(gray)
        return (mean(slope) * gray + mean(offset)).clamp(min=0)
