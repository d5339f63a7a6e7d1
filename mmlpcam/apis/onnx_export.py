"""Segmentors as ONNX files, which run without PyTorch."""
import os
import warnings

import numpy as np
import torch
from mmengine.config import Config
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor, nn

from mmlpcam.models import CAMSegmentor
from mmlpcam.utils import atomic_path

INPUT, OUTPUT = 'image', 'logits'
# All operators that segmentors of MMSegmentation need are in it.
_OPSET = 17


class ExportedSegmentor(nn.Module):
    """The part of a segmentor that is exported.

    It takes the pixels of photos, and normalises them itself.

    Args:
        model (EncoderDecoder): Trained segmentor.
        cfg (Config): Its config.

    Raises:
        ValueError: If it is a classifier, or does not see whole photos.
    """

    def __init__(self, model: nn.Module, cfg: Config) -> None:
        super().__init__()
        if isinstance(model,
                      CAMSegmentor) or not isinstance(model, EncoderDecoder):
            raise ValueError('expected a segmentor, but got a '
                             f'{type(model).__name__}, whose maps are not '
                             'exported: give the config of a segmentor')
        mode = model.test_cfg.get('mode')
        if mode != 'whole':
            raise ValueError(f'the segmentor predicts with mode={mode!r}, but '
                             'an ONNX file sees whole photos: set '
                             "model.test_cfg.mode='whole'")
        self.model = model
        settings = cfg.model.data_preprocessor
        # photos of MMSegmentation are BGR
        self.takes_rgb = bool(settings.get('bgr_to_rgb'))
        for name, default in (('mean', 0.), ('std', 1.)):
            value = torch.tensor(settings.get(name) or [default] * 3)
            self.register_buffer(name, value.float().view(3, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Predict.

        Args:
            image (Tensor): Photos (N, 3, H, W) float32, RGB in [0, 255].

        Returns:
            Tensor: Logits (N, C, H, W), whose argmax over C is the mask.
        """
        if not self.takes_rgb:
            image = image.flip(1)
        metas = [dict(img_shape=image.shape[2:])]
        return self.model.encode_decode((image - self.mean) / self.std, metas)


def export_onnx(model: ExportedSegmentor,
                image: Tensor,
                path: str | os.PathLike,
                fixed_size: bool = False) -> None:
    """Write an ONNX file, whole or not at all.

    Args:
        model (ExportedSegmentor): The segmentor.
        image (Tensor): A photo to run it on, (1, 3, H, W) float32, RGB.
        path (str | os.PathLike): File name.
        fixed_size (bool): Whether the file takes photos of this H and W
            alone, which some runtimes ask for. Defaults to False.

    Raises:
        ImportError: If the package onnx is not installed.
        OSError: If it cannot be written.
        ValueError: If the segmentor cannot be exported.
    """
    try:
        import onnx  # noqa: F401, PyTorch asks for it at the end
    except ImportError as error:
        raise ImportError('ONNX files are written with the package onnx, '
                          f'which does not import ({error}): run `pip install '
                          'onnx onnxruntime`') from error
    axes = {0: 'n'} if fixed_size else {0: 'n', 2: 'h', 3: 'w'}
    with atomic_path(path) as tmp, warnings.catch_warnings():
        warnings.simplefilter('ignore')  # about sizes that are traced
        try:
            # the exporter behind dynamo=True needs packages of its own
            torch.onnx.export(
                model.eval(), (image, ),
                str(tmp),
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_axes={
                    INPUT: axes,
                    OUTPUT: axes
                },
                opset_version=_OPSET,
                dynamo=False)
        except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
            raise ValueError(
                f'the segmentor cannot be exported: {error}. Pooling to a '
                'grid, say, needs photos of one size (--fixed-size)'
            ) from error


@torch.no_grad()
def compare_onnx(model: ExportedSegmentor, image: Tensor,
                 path: str | os.PathLike) -> tuple[float, float]:
    """Run an ONNX file beside its segmentor.

    Args:
        model (ExportedSegmentor): The segmentor, on the CPU.
        image (Tensor): Photos, (N, 3, H, W) float32, RGB.
        path (str | os.PathLike): The file.

    Returns:
        tuple[float, float]: Largest difference of logits, and the share of
        pixels that get the same class.

    Raises:
        ImportError: If onnxruntime is not installed.
    """
    import onnxruntime
    session = onnxruntime.InferenceSession(
        str(path), providers=['CPUExecutionProvider'])
    found, = session.run([OUTPUT], {INPUT: image.numpy()})
    expected = model(image).numpy()
    same = (found.argmax(1) == expected.argmax(1)).mean()
    return float(np.abs(found - expected).max()), float(same)
