"""Put a folder of photos, and their tags, into tar shards.

The shards have the layout of WebDataset: <photo>.jpg as it is and, with
--source, <photo>.json, a list of class names. tools/label_shards.py reads
them.
"""
import argparse
import sys
from pathlib import Path

from mmlpcam.apis import find_photos
from mmlpcam.converters.label_source_args import (build_source,
                                                  describe_sources,
                                                  label_source_parser,
                                                  source_cfg)
from mmlpcam.converters.photo_shards import write_photo_shards
from mmlpcam.datasets import load_labels
from mmlpcam.utils.parallel import add_parallel_args, track_on_terminal

EPILOG = """\
example:
  tools/dataset_converters/make_shards.py photos shards --classes cat dog \\
      --source CSVLabels --source-options csv_file=tags.csv

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
    parser.add_argument('photos', help='folder of the photos')
    parser.add_argument('out_dir', type=Path, help='folder for the shards')
    parser.add_argument(
        '--classes', nargs='+', help='class names, without the background')
    parser.add_argument(
        '--name',
        default='photos',
        help='what the shards are called: <name>-000000.tar (default: '
        '%(default)s)')
    parser.add_argument(
        '--per-shard',
        type=int,
        default=1000,
        help='photos in a shard (default: %(default)s)')
    add_parallel_args(parser)
    args = parser.parse_args()
    if (args.source is None) != (args.classes is None):
        parser.error('--source and --classes belong together')
    return args


def make_shards(args: argparse.Namespace) -> None:
    photos = {photo.name: photo.source for photo in find_photos(args.photos)}
    tags = None
    if args.source:
        labels = load_labels(
            build_source(source_cfg(args)), photos, args.classes)
        tags = {
            name: [args.classes[index] for index in found]
            for name, found in labels.items()
        }
    shards = write_photo_shards(
        photos,
        tags,
        args.out_dir,
        name=args.name,
        per_shard=args.per_shard,
        overwrite=args.overwrite,
        nproc=args.nproc,
        track=track_on_terminal)
    last = shards[-1].stem[-6:]
    print(f'{len(photos)} photos written to '
          f'{args.out_dir}/{args.name}-{{000000..{last}}}.tar')


def main() -> int:
    args = parse_args()
    try:
        make_shards(args)
    except (OSError, RuntimeError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
