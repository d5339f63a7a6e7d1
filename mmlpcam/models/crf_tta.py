"""Test-time augmentation with a dense CRF behind it."""
from collections.abc import Sequence

import numpy as np
import torch
from mmengine.structures import PixelData
from mmseg.models.segmentors import SegTTAModel
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import ConfigType, OptConfigType, SampleList
from torch import Tensor, nn

from mmlpcam.ops import DenseCRF, infer_many, softmax_unary
from mmlpcam.utils.photos import read_photo


@MODELS.register_module()
class CRFTTAModel(SegTTAModel):
    """Average the views of an image and refine the mean with a dense CRF.

    The probabilities (soft-maxed logits) of all views are averaged as
    :class:`SegTTAModel` does, and the mean is the unary term of a
    :class:`~mmlpcam.ops.DenseCRF` on the original image, which is read again
    from ``img_path``. With a single view it is plain CRF post-processing.
    CRFs run on the device of the segmentor: on a GPU all images of a batch
    at once, see :func:`~mmlpcam.ops.infer_many`.

    The time of a CRF is proportional to the number of classes, but few of
    them occur in an image. So only classes take part that win a pixel or
    reach `min_prob` at some pixel; the probabilities of the others are set
    to zero and the rest is normalised. That changes little: with the Potts
    model a class gains only where it is believed in around a pixel, so one
    that is below `min_prob` everywhere stays there, up to a factor of about
    ``exp((gaussian_compat + bilateral_compat) * min_prob)``, and never wins;
    and the scores of the other classes shift by about the share that was
    left out, more where two are nearly equal. With the default, 3 in 100 000
    pixels changed their class (30 photos of COCO, 13 classes).
    ``min_prob=0`` keeps all classes and is exact.

    Args:
        module (dict | nn.Module): Segmentor with softmax outputs.
        crf (dict): Keyword arguments of :class:`~mmlpcam.ops.DenseCRF`.
        min_prob (float): Probability in [0, 1) that a class must reach.
            Defaults to 0.01.
        data_preprocessor (dict, optional): In the place of the segmentor's.
            Defaults to None.

    Raises:
        ValueError: If `min_prob` is out of range, or the segmentor has a
            single sigmoid output.
    """

    def __init__(self,
                 module: ConfigType | nn.Module,
                 *,
                 crf: ConfigType,
                 min_prob: float = 0.01,
                 data_preprocessor: OptConfigType = None) -> None:
        super().__init__(module, data_preprocessor)
        if not 0 <= min_prob < 1:
            raise ValueError(
                f'`min_prob` must be in [0, 1), but got {min_prob}')
        if self.module.out_channels == 1:
            raise ValueError(
                'a CRF needs a probability of each class, but the decode head '
                'has a single sigmoid output: set out_channels=2 there')
        self.crf = dict(crf)
        self.min_prob = min_prob

    def merge_preds(
            self, data_samples_list: Sequence[Sequence[SegDataSample]]
    ) -> SampleList:
        """Merge the views of each image.

        Args:
            data_samples_list (Sequence[Sequence[SegDataSample]]): For each
                image its views, with ``seg_logits`` (C, H, W) in the size
                and orientation of the original image.

        Returns:
            list[:obj:`SegDataSample`]: The first view of each image with
            ``seg_logits``, the refined probabilities (C, H, W), and
            ``pred_sem_seg``, their argmax (1, H, W).
        """
        means = [
            sum(
                view.seg_logits.data.softmax(0, dtype=torch.float32)
                for view in views) / len(views) for views in data_samples_list
        ]
        merged = [views[0] for views in data_samples_list]
        for sample, probs in zip(
                merged, self.refine(means, [one.img_path for one in merged])):
            mask = probs.argmax(0, keepdim=True)
            sample.set_data(
                dict(
                    seg_logits=PixelData(data=probs),
                    pred_sem_seg=PixelData(data=mask)))
        return merged

    def refine(self, probs: Sequence[Tensor],
               img_paths: Sequence[str]) -> list[Tensor]:
        """Refine probabilities with the images.

        Args:
            probs (Sequence[Tensor]): Probabilities of each image, (C, H, W)
                float32.
            img_paths (Sequence[str]): The original images, of the same sizes.

        Returns:
            list[Tensor]: Probabilities (C, H, W) on the same device; zero for
            the classes that took no part.

        Raises:
            ValueError: If an image has another size.
        """
        crfs, chosen, unaries = [], [], []
        for each, path in zip(probs, img_paths):
            image = np.ascontiguousarray(read_photo(path)[..., ::-1])
            if image.shape[:2] != each.shape[1:]:
                raise ValueError(
                    f'{path} is {image.shape[:2]} pixels large, but the '
                    f'prediction is {tuple(each.shape[1:])}: the pipeline '
                    'must start with LoadImageFromFile, which sets ori_shape')
            kept = each.amax((1, 2)) >= self.min_prob
            kept[each.argmax(0).unique()] = True
            shares = each[kept] / each[kept].sum(0)
            crfs.append(DenseCRF(image, **{'device': each.device, **self.crf}))
            chosen.append(kept)
            unaries.append(softmax_unary(shares.float().cpu().numpy())[None])
        refined = []
        for each, kept, (scores, ) in zip(probs, chosen,
                                          infer_many(crfs, unaries)):
            planes = torch.zeros_like(each)
            planes[kept] = torch.from_numpy(scores).to(each)
            refined.append(planes)
        return refined
