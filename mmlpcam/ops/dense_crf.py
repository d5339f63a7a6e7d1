"""Fully connected CRF on images, in PyTorch or on pydensecrf."""
import math
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import torch

from .mean_field import MeanField

_BACKENDS = ('auto', 'torch', 'pydensecrf')
# of images that are refined at once; a pixel takes some 500 bytes
_MAX_PIXELS = 2**22


class DenseCRF:
    r"""Fully connected CRF with Gaussian pairwise potentials on one image.

    Sharpens labels along the edges of the image by mean field inference
    (https://arxiv.org/abs/1210.5644). Two pixels that disagree pay for being
    close (Gaussian kernel), and more for being close and of like colour
    (bilateral kernel):

    .. math::
        w_g \exp\left(-\frac{|p_i - p_j|^2}{2 s_g^2}\right) +
        w_b \exp\left(-\frac{|p_i - p_j|^2}{2 s_b^2}
        -\frac{|c_i - c_j|^2}{2 s_c^2}\right)

    with the Potts model and symmetric normalisation of the kernels, which
    are what pydensecrf takes by default. The defaults of this class are
    those of IRN and LPCAM.

    What depends on the image is computed once, at the first call, so that
    several label maps of an image should share one object. Several images
    are refined at once by :func:`infer_many`.

    Args:
        image (np.ndarray): RGB image of shape (H, W, 3), uint8. It is copied.
        gaussian_sxy (float): Deviation :math:`s_g` of the Gaussian kernel in
            pixels. Defaults to 3.
        gaussian_compat (float): Its weight :math:`w_g`. Defaults to 3.
        bilateral_sxy (float): Deviation :math:`s_b` of the bilateral kernel
            in pixels. Defaults to 50.
        bilateral_srgb (float): Deviation :math:`s_c` of the bilateral kernel
            in grey levels. Defaults to 5.
        bilateral_compat (float): Its weight :math:`w_b`. Defaults to 10.
        num_iters (int): Rounds of mean field inference. Defaults to 10.
        backend (str): See :func:`choose_backend`. Both agree up to rounding.
            Defaults to 'auto'.
        device (str | torch.device): Where 'torch' computes. Defaults to
            'cpu'.

    Raises:
        TypeError: If `image` is not an array of uint8.
        ValueError: If an argument has a wrong shape or is out of range.
        ImportError: If `backend` is 'pydensecrf' and it is not installed.

    Example:
        >>> image = np.zeros((4, 6, 3), np.uint8)
        >>> image[:, 3:] = 200
        >>> labels = np.array([[0, 0, 0, 0, 1, 1]] * 4)
        >>> DenseCRF(image).refine_labels(labels, 2)[0]
        array([0, 0, 0, 1, 1, 1])
    """

    def __init__(self,
                 image: np.ndarray,
                 *,
                 gaussian_sxy: float = 3.,
                 gaussian_compat: float = 3.,
                 bilateral_sxy: float = 50.,
                 bilateral_srgb: float = 5.,
                 bilateral_compat: float = 10.,
                 num_iters: int = 10,
                 backend: str = 'auto',
                 device: str | torch.device = 'cpu') -> None:
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
            raise TypeError(
                'expected `image` as an array of uint8, but got '
                f'{getattr(image, "dtype", type(image).__name__)}: pass the '
                'image as it was decoded, not a normalised one')
        if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
            raise ValueError('expected `image` of shape (H, W, 3), not empty, '
                             f'but got {image.shape}')
        deviations = dict(
            gaussian_sxy=gaussian_sxy,
            bilateral_sxy=bilateral_sxy,
            bilateral_srgb=bilateral_srgb)
        for name, value in deviations.items():
            if not 0 < value < math.inf:
                raise ValueError(f'`{name}` must be positive, but got {value}')
        weights = dict(
            gaussian_compat=gaussian_compat, bilateral_compat=bilateral_compat)
        for name, value in weights.items():
            if not 0 <= value < math.inf:
                raise ValueError(f'`{name}` must not be negative, but got '
                                 f'{value}')
        if num_iters < 1:
            raise ValueError(
                f'`num_iters` must be at least 1, but got {num_iters}')
        self.image = np.array(image, order='C')
        self.settings: dict = dict(
            **{
                name: float(value)
                for name, value in (deviations | weights).items()
            },
            num_iters=num_iters)
        self.backend = choose_backend(backend)
        self.device = torch.device(device)
        self._compiled: dict = {}  # objects of pydensecrf by number of labels

    def infer(self, unary: np.ndarray) -> np.ndarray:
        """Compute the approximate posterior of each pixel.

        Args:
            unary (np.ndarray): Negative log probabilities of shape
                (L, H, W), any floating type, finite.

        Returns:
            np.ndarray: Probabilities of shape (L, H, W), float32 in [0, 1],
            with sum 1 over the labels.

        Raises:
            ValueError: If `unary` has a wrong shape or type, or is not
                finite.
        """
        self._check_scores('unary', unary)
        return infer_many([self], [unary[None]])[0][0]

    def refine_labels(self,
                      labels: np.ndarray,
                      num_labels: int,
                      gt_prob: float = 0.7) -> np.ndarray:
        """Refine a label map, as IRN does for its confident labels.

        Args:
            labels (np.ndarray): See :func:`label_unary`.
            num_labels (int): The same.
            gt_prob (float): The same.

        Returns:
            np.ndarray: Refined label map of shape (H, W), same type. With
            one label, a copy.

        Raises:
            TypeError: If `labels` are not integers.
            ValueError: If an argument has a wrong shape or is out of range.
        """
        if labels.shape != self.image.shape[:2]:
            raise ValueError('expected `labels` of the size of the image, '
                             f'{self.image.shape[:2]}, but got {labels.shape}')
        unary = label_unary(labels, num_labels, gt_prob)
        return self.infer(unary).argmax(axis=0).astype(labels.dtype)

    def refine_scores(self, probs: np.ndarray) -> np.ndarray:
        """Refine the output of a segmentation model, as DeepLab does.

        Args:
            probs (np.ndarray): Probabilities of shape (L, H, W), any
                floating type.

        Returns:
            np.ndarray: Refined probabilities of shape (L, H, W), float32.

        Raises:
            ValueError: If `probs` have a wrong shape or are no
                probabilities.
        """
        self._check_scores('probs', probs)
        return self.infer(softmax_unary(probs))

    def _check_scores(self, name: str, scores: np.ndarray) -> None:
        height, width = self.image.shape[:2]
        if (scores.ndim != 3 or scores.shape[1:] != (height, width)
                or len(scores) == 0 or scores.dtype.kind != 'f'):
            raise ValueError(
                f'expected `{name}` of the size of the image, (L, {height}, '
                f'{width}), and of a floating type, but got {scores.shape} '
                f'{scores.dtype}')

    def _infer_compiled(self, unary: np.ndarray) -> np.ndarray:
        num_labels = len(unary)
        if num_labels not in self._compiled:
            from pydensecrf.densecrf import DenseCRF2D
            height, width = self.image.shape[:2]
            crf = DenseCRF2D(width, height, num_labels)
            crf.addPairwiseGaussian(
                sxy=self.settings['gaussian_sxy'],
                compat=self.settings['gaussian_compat'])
            crf.addPairwiseBilateral(
                sxy=self.settings['bilateral_sxy'],
                srgb=self.settings['bilateral_srgb'],
                rgbim=self.image,
                compat=self.settings['bilateral_compat'])
            self._compiled[num_labels] = crf
        crf = self._compiled[num_labels]
        crf.setUnaryEnergy(unary.reshape(num_labels, -1))
        return np.reshape(
            crf.inference(self.settings['num_iters']), unary.shape)

    @cached_property
    def _mean_field(self) -> MeanField:
        return _joint_mean_field([self])


def infer_many(crfs: Sequence[DenseCRF],
               unaries: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Compute the approximate posteriors of several images.

    On a GPU, images of any sizes are computed at once. On the CPU each is
    computed by itself, which is as fast, takes less memory and makes the
    result independent of the other images.

    Args:
        crfs (Sequence[DenseCRF]): One per image.
        unaries (Sequence[np.ndarray]): Negative log probabilities of shape
            (S, L, H, W) per image, any floating type, finite: S problems on
            one image that share the work on it. S is the same for all
            images, L may differ.

    Returns:
        list[np.ndarray]: Probabilities of the same shapes, float32 in
        [0, 1], with sum 1 over the labels.

    Raises:
        ValueError: If unaries have a wrong shape or are not finite.
    """
    for crf, unary in zip(crfs, unaries):
        if unary.ndim != 4 or unary.shape[2:] != crf.image.shape[:2]:
            raise ValueError(
                'expected unaries of the size of the image, (S, L, *'
                f'{crf.image.shape[:2]}), but got {unary.shape}')
    # copies, since pydensecrf refuses read-only memory
    energies = [np.array(unary, np.float32, order='C') for unary in unaries]
    if not all(np.isfinite(energy).all() for energy in energies):
        raise ValueError(
            'expected a finite `unary`, but it has infinite or NaN values: '
            'clip probabilities first, as softmax_unary() does')
    results: list[np.ndarray] = []
    for group in _groups(crfs):
        part = energies[len(results):len(results) + len(group)]
        if all(energy.shape[1] == 1 for energy in part):
            results += [np.ones_like(energy) for energy in part]
        elif group[0].backend == 'pydensecrf':
            results += [
                np.stack([group[0]._infer_compiled(one) for one in energy])
                for energy in part
            ]
        else:
            # of several images none keeps what takes most of the memory
            field = (
                group[0]._mean_field
                if len(crfs) == 1 else _joint_mean_field(group))
            results += [
                probs.cpu().numpy() for probs in field.infer([
                    torch.from_numpy(energy).to(group[0].device)
                    for energy in part
                ])
            ]
    return results


def _joint_mean_field(crfs: Sequence[DenseCRF]) -> MeanField:
    return MeanField(
        [torch.from_numpy(crf.image).to(crf.device) for crf in crfs],
        **crfs[0].settings)


def _groups(crfs: Sequence[DenseCRF]) -> Iterator[list[DenseCRF]]:
    """Split into those that are computed at once."""
    group: list[DenseCRF] = []
    for crf in crfs:
        alone = crf.backend == 'pydensecrf' or crf.device.type == 'cpu'
        pixels = sum(each.image[..., 0].size for each in [*group, crf])
        if group and (alone or pixels > _MAX_PIXELS or crf.settings
                      != group[0].settings or crf.device != group[0].device):
            yield group
            group = []
        group.append(crf)
    if group:
        yield group


def label_unary(labels: np.ndarray,
                num_labels: int,
                gt_prob: float = 0.7) -> np.ndarray:
    """Make the unary of a label map that is right with some probability.

    The rest of the probability is shared by the other labels. It equals
    ``unary_from_labels(..., zero_unsure=False)`` of pydensecrf, but a single
    label is allowed.

    Args:
        labels (np.ndarray): Label map of shape (H, W), any integer type,
            values in [0, num_labels).
        num_labels (int): Number of labels L.
        gt_prob (float): Probability that a label is right, in (0, 1).
            Defaults to 0.7.

    Returns:
        np.ndarray: Negative log probabilities of shape (L, H, W), float32;
        zeros for a single label, which is certain.

    Raises:
        TypeError: If `labels` are not integers.
        ValueError: If an argument has a wrong shape or is out of range.

    Example:
        >>> label_unary(np.array([[0, 1]]), 2, gt_prob=.75)[:, 0].round(3)
        array([[0.288, 1.386],
               [1.386, 0.288]], dtype=float32)
    """
    if labels.dtype.kind not in 'iu':
        raise TypeError(f'expected `labels` of an integer type, but got '
                        f'{labels.dtype}: take the argmax of scores first')
    if labels.ndim != 2 or labels.size == 0:
        raise ValueError('expected `labels` of shape (H, W), not empty, but '
                         f'got {labels.shape}')
    if not 0 < gt_prob < 1:
        raise ValueError(
            f'`gt_prob` must lie between 0 and 1, but got {gt_prob}')
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= num_labels:
        raise ValueError(
            f'expected `labels` in [0, num_labels = {num_labels}), but they '
            f'span [{lowest}, {highest}]: number the labels of the image '
            'without gaps, and give ignored pixels one of them')
    if num_labels == 1:
        return np.zeros((1, *labels.shape), np.float32)
    is_label = labels == np.arange(num_labels)[:, None, None]
    return np.where(is_label, -math.log(gt_prob), -math.log(
        (1 - gt_prob) / (num_labels - 1))).astype(np.float32)


def softmax_unary(probs: np.ndarray, min_prob: float = 1e-5) -> np.ndarray:
    """Make the unary of probabilities, as ``unary_from_softmax`` does.

    Args:
        probs (np.ndarray): Probabilities of any shape.
        min_prob (float): Smaller probabilities are raised to this one, in
            (0, 1). Defaults to 1e-5, the value of pydensecrf.

    Returns:
        np.ndarray: Negative log probabilities of the same shape, float32.

    Raises:
        ValueError: If an argument is out of range.
    """
    if not 0 < min_prob < 1:
        raise ValueError(
            f'`min_prob` must lie between 0 and 1, but got {min_prob}')
    # half precision is 5e-4 off 1
    if not ((probs > -1e-3) & (probs < 1 + 1e-3)).all():
        raise ValueError(
            'expected `probs` in [0, 1], but they span '
            f'[{probs.min():.4g}, {probs.max():.4g}]: apply a softmax first')
    return -np.log(np.clip(probs.astype(np.float32), min_prob, 1.))


def choose_backend(backend: str) -> str:
    """Say what computes the messages.

    Args:
        backend (str): 'torch', 'pydensecrf' (distribution pydensecrf2, on
            the CPU), or 'auto', which is 'torch': the same on all machines.

    Returns:
        str: 'torch' or 'pydensecrf'.

    Raises:
        ValueError: If it is none of these.
        ImportError: If pydensecrf is asked for and not installed.
    """
    if backend not in _BACKENDS:
        raise ValueError(f'`backend` must be one of {_BACKENDS}, but got '
                         f'{backend!r}')
    if backend != 'pydensecrf':
        return 'torch'
    try:
        import pydensecrf.densecrf  # noqa: F401
    except ImportError as error:
        raise ImportError(
            'backend "pydensecrf" is not installed: run `pip install '
            'pydensecrf2` (a C++ compiler, Python < 3.13), or take backend '
            '"torch"') from error
    return backend
