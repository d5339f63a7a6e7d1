"""Export a segmentor to an ONNX file, and check it on a photo.

The file takes `image`, photos (N, 3, H, W) float32 in RGB from 0 to 255,
resized as the test pipeline of the config says; it normalises them itself. It
gives `logits` (N, C, H, W), whose argmax over C is the mask.
"""
import argparse
import importlib.util
import sys
from pathlib import Path

from mmlpcam.apis import LPCAMInferencer, find_photos
from mmlpcam.apis.onnx_export import (ExportedSegmentor, compare_onnx,
                                      export_onnx)
from mmlpcam.utils import add_cfg_options, read_config

MIN_SAME = 0.999  # share of pixels, of which some are a tie


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: tools/export_onnx.py my_project/segmentor.py '
        'runs/first/segmentor photos/IMG_0001.jpg segmentor.onnx')
    parser.add_argument('config', help='config file of a segmentor')
    parser.add_argument(
        'checkpoint',
        type=Path,
        help='checkpoint file, or the folder of a run: its last checkpoint')
    parser.add_argument(
        'photo', help='photo to check the file on, with onnxruntime')
    parser.add_argument('out', type=Path, help='file to write')
    parser.add_argument(
        '--fixed-size',
        action='store_true',
        help='take photos of the size of this one alone, after the test '
        'pipeline')
    add_cfg_options(parser)
    return parser.parse_args()


def export(args: argparse.Namespace) -> None:
    photo = find_photos(args.photo)[0].read()
    cfg = read_config(args.config, args.cfg_options)
    inferencer = LPCAMInferencer(cfg, args.checkpoint, 'cpu')
    model = ExportedSegmentor(inferencer.model, cfg).eval()
    pixels = inferencer.pipeline(dict(img=photo))['inputs']
    image = pixels.float().flip(0)[None]  # BGR to RGB
    export_onnx(model, image, args.out, args.fixed_size)
    print(f'written: {args.out}, for the classes '
          f'{", ".join(inferencer.classes)}')
    if importlib.util.find_spec('onnxruntime') is None:
        print('not checked: `pip install onnxruntime`, and run this again')
        return
    difference, same = compare_onnx(model, image, args.out)
    print(f'checked on {args.photo} at {tuple(image.shape[2:])} (H, W): '
          f'{100 * same:.3f} % of the pixels get the class that PyTorch '
          f'gives; logits differ by {difference:.2g} at most')
    if same < MIN_SAME:
        raise ValueError(f'{args.out} does not do what the segmentor does: '
                         'try another version of PyTorch')


def main() -> int:
    args = parse_args()
    try:
        export(args)
    except (ImportError, OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
