"""Fully connected CRF on one image, on SciPy or on pydensecrf."""
import math
from functools import cached_property, lru_cache

import numpy as np

from .permutohedral_lattice import PermutohedralLattice

_BACKENDS = ('auto', 'scipy', 'pydensecrf')


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
    several label maps of an image should share one object.

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
        backend (str): 'scipy', 'pydensecrf' (distribution pydensecrf2) or
            'auto', which is 'pydensecrf' where that can be imported. Both
            agree up to rounding. Defaults to 'auto'.

    Raises:
        TypeError: If `image` is not an array of uint8.
        ValueError: If an argument has a wrong shape or is out of range.
        ImportError: If `backend` is 'pydensecrf' and it is not installed.

    Example:
        >>> image = np.zeros((4, 6, 3), np.uint8)
        >>> image[:, 3:] = 200
        >>> labels = np.array([[0, 0, 0, 0, 1, 1]] * 4)
        >>> DenseCRF(image, backend='scipy').refine_labels(labels, 2)[0]
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
                 backend: str = 'auto') -> None:
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
        self.gaussian_sxy = float(gaussian_sxy)
        self.gaussian_compat = float(gaussian_compat)
        self.bilateral_sxy = float(bilateral_sxy)
        self.bilateral_srgb = float(bilateral_srgb)
        self.bilateral_compat = float(bilateral_compat)
        self.num_iters = num_iters
        self.backend = choose_backend(backend)
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
        if not np.isfinite(unary).all():
            raise ValueError(
                'expected a finite `unary`, but it has infinite or NaN '
                'values: clip probabilities first, as softmax_unary() does')
        if len(unary) == 1:
            return np.ones(unary.shape, np.float32)
        # a copy, since pydensecrf refuses read-only memory
        flat = np.array(unary, np.float32, order='C').reshape(len(unary), -1)
        if self.backend == 'scipy':
            probs = self._infer_scipy(flat)
        else:
            probs = self._infer_pydensecrf(flat)
        return probs.reshape(unary.shape)

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

    @cached_property
    def _kernels(self) -> list[tuple[float, PermutohedralLattice]]:
        height, width = self.image.shape[:2]
        color = self.image.reshape(-1, 3).T.astype(np.float32)
        features = np.concatenate([
            _positions(height, width) / self.bilateral_sxy,
            color / self.bilateral_srgb,
        ])
        return [
            (self.gaussian_compat,
             _gaussian_lattice(height, width, self.gaussian_sxy)),
            (self.bilateral_compat, PermutohedralLattice(features)),
        ]

    def _infer_scipy(self, unary: np.ndarray) -> np.ndarray:
        # Planes (L, N) are fast to reduce over labels, rows (N, L) are what
        # sparse products take.
        probs = _softmax(-unary)
        for _ in range(self.num_iters):
            rows = np.ascontiguousarray(probs.T)
            scores = -unary
            for compat, lattice in self._kernels:
                scores += compat * lattice.filter(rows).T
            probs = _softmax(scores)
        return probs

    def _infer_pydensecrf(self, unary: np.ndarray) -> np.ndarray:
        num_labels = len(unary)
        if num_labels not in self._compiled:
            from pydensecrf.densecrf import DenseCRF2D
            height, width = self.image.shape[:2]
            crf = DenseCRF2D(width, height, num_labels)
            crf.addPairwiseGaussian(
                sxy=self.gaussian_sxy, compat=self.gaussian_compat)
            crf.addPairwiseBilateral(
                sxy=self.bilateral_sxy,
                srgb=self.bilateral_srgb,
                rgbim=self.image,
                compat=self.bilateral_compat)
            self._compiled[num_labels] = crf
        crf = self._compiled[num_labels]
        crf.setUnaryEnergy(unary)
        return np.array(crf.inference(self.num_iters))


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
        backend (str): 'scipy', 'pydensecrf', or 'auto' for pydensecrf where
            it is installed.

    Returns:
        str: 'scipy' or 'pydensecrf'.

    Raises:
        ValueError: If it is none of these.
        ImportError: If pydensecrf is asked for and not installed.
    """
    if backend not in _BACKENDS:
        raise ValueError(f'`backend` must be one of {_BACKENDS}, but got '
                         f'{backend!r}')
    if backend == 'scipy':
        return backend
    try:
        import pydensecrf.densecrf  # noqa: F401
    except ImportError as error:
        if backend == 'pydensecrf':
            raise ImportError(
                'backend "pydensecrf" is not installed: run `pip install '
                'pydensecrf2` (a C++ compiler, Python < 3.13), or take '
                'backend "scipy"') from error
        return 'scipy'
    return 'pydensecrf'


def _softmax(scores: np.ndarray) -> np.ndarray:
    """Softmax over the first axis, in place."""
    scores -= scores.max(axis=0)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=0)
    return scores


def _positions(height: int, width: int) -> np.ndarray:
    """Coordinates x and y of all pixels, (2, H * W) float32."""
    rows, columns = np.indices((height, width), np.float32)
    return np.stack([columns.ravel(), rows.ravel()])


@lru_cache(maxsize=8)
def _gaussian_lattice(height: int, width: int,
                      sxy: float) -> PermutohedralLattice:
    """Lattice of the kernel that depends on the size of the image only."""
    return PermutohedralLattice(_positions(height, width) / sxy)
