"""Predict the masks of a folder of photos.

A segmentor needs no tags. A classifier makes maps too, for the tags of
--source, or else for the classes that it finds itself.
"""
import argparse
import sys
from pathlib import Path

from mmlpcam.apis import LPCAMInferencer, find_photos
from mmlpcam.converters.label_source_args import (build_source,
                                                  describe_sources,
                                                  label_source_parser,
                                                  source_cfg)
from mmlpcam.utils import add_cfg_options, read_config
from mmlpcam.utils.parallel import track_on_terminal

EPILOG = """\
examples:
  tools/predict.py my_project/segmentor.py runs/first/segmentor new_photos \\
      predictions
  tools/predict.py my_project/classifier.py runs/first/classifier photos \\
      maps --source CSVLabels --source-options csv_file=tags.csv

label sources, of which those in brackets are options:
{sources}
"""


def parse_args() -> argparse.Namespace:
    sources = label_source_parser()
    parser = argparse.ArgumentParser(
        parents=[sources],
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EPILOG.format(sources=describe_sources()))
    parser.add_argument(
        'config',
        help='config file of a segmentor or classifier, with a '
        '`test_pipeline`')
    parser.add_argument(
        'checkpoint',
        type=Path,
        help='checkpoint file, or the folder of a run: its last checkpoint')
    parser.add_argument('photos', help='folder of the photos, or a photo')
    parser.add_argument(
        'out',
        type=Path,
        help='folder to write to: masks/<photo>.png, class indices with '
        'palette, pictures/<photo>.jpg and, of a classifier, '
        'maps/<photo>.npz')
    parser.add_argument(
        '--device', help='such as cpu or cuda:0 (default: a GPU if there is)')
    parser.add_argument(
        '--batch-size',
        type=int,
        default=1,
        help='photos of one size that are predicted together (default: 1)')
    add_cfg_options(
        parser, 'settings to override, as key=value, such as '
        'model.test_cfg.bg_thr=0.3 of a classifier')
    # `config` to `out` may have options between them
    return parser.parse_intermixed_args()


def predict(args: argparse.Namespace) -> int:
    """Write masks and pictures and return how many photos failed."""
    photos = find_photos(args.photos, args.out)
    tags = build_source(source_cfg(args)) if args.source else None
    cfg = read_config(args.config, args.cfg_options)
    inferencer = LPCAMInferencer(cfg, args.checkpoint, args.device)
    print(
        'colours:', ', '.join(
            f'{name} #{bytes(color).hex()}'
            for name, color in zip(inferencer.classes, inferencer.palette)))
    stream = inferencer.stream(photos, tags, args.batch_size)
    failed: dict[str, Exception] = {}
    for prediction in track_on_terminal((stream, len(photos))):
        if prediction.error is not None:
            failed[prediction.input.source] = prediction.error
        inferencer.write(prediction, args.out)
    for path, error in failed.items():
        print(f'error: no mask of {path}: {error}', file=sys.stderr)
    print(f'{len(photos) - len(failed)} of {len(photos)} masks written to '
          f'{args.out / "masks"}, pictures to {args.out / "pictures"}')
    return len(failed)


def main() -> int:
    args = parse_args()
    try:
        return int(predict(args) > 0)
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main())
