"""Write the masks and maps of tools/label_shards.py as files.

The folder has the layout that PseudoLabelDataset reads: masks/<photo>.png,
maps/<photo>.npz and a manifest. Equal files that are there are kept.
"""
import argparse
import sys
from pathlib import Path

from mmlpcam.converters.photo_shards import unpack_labels
from mmlpcam.datasets import shard_names
from mmlpcam.utils import SettingsAction
from mmlpcam.utils.parallel import track_on_terminal


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: tools/dataset_converters/shards_to_labels.py '
        "'labels/photos-{000000..000199}.tar' unpacked")
    parser.add_argument(
        'shards',
        help='name of a shard of labels, many as in a-{000..199}.tar, or a '
        '.txt file with such a line for each')
    parser.add_argument('out_dir', type=Path, help='folder to write to')
    parser.add_argument(
        '--backend-args',
        nargs='+',
        action=SettingsAction,
        help="file backend of the shards, as in MMEngine's backend_args")
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    try:
        shards = shard_names(args.shards, args.backend_args)
        counts = unpack_labels(
            shards,
            args.out_dir,
            backend_args=args.backend_args,
            track=track_on_terminal)
    except (OSError, RuntimeError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    print(f'{counts["png"]} masks and {counts["npz"]} maps written to '
          f'{args.out_dir}; {counts["error"]} photos have none')
    return 0


if __name__ == '__main__':
    sys.exit(main())
