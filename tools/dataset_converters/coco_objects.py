"""Make semantic masks of the 80 object categories of MS COCO.

Reads an instances file and writes one PNG of class indices for each of its
images, named by the stem of the image: 0 = background, 1 to 80 = categories in
ascending id. Instances are painted in the order of the file, a later one over
an earlier one; crowds are left out and no pixel is ignored.

The masks are for scores only: training from image labels does not need them.
Masks that are there already are kept, so that a run that was interrupted
carries on when it is started again. At the end all masks are read again and
checked.
"""
import argparse
import sys
import time

from mmlpcam.converters.coco_masks import (check_coco_masks, read_instances,
                                           write_coco_masks)
from mmlpcam.utils.parallel import add_parallel_args, track_on_terminal

EXAMPLE = """\
example, for configs/_base_/datasets/coco.py:
  cd data/coco
  for split in train2014 val2014; do
    python ../../tools/dataset_converters/coco_objects.py \\
        annotations/instances_$split.json masks/$split
  done

needs pycocotools: pip install -e '.[coco]'
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('ann_file', help='instances file (JSON)')
    parser.add_argument('out_dir', help='folder of the masks')
    add_parallel_args(parser)
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    start = time.monotonic()
    work = dict(nproc=args.nproc, track=track_on_terminal)
    try:
        images = read_instances(args.ann_file)
        written = write_coco_masks(
            images, args.out_dir, overwrite=args.overwrite, **work)
        problems = check_coco_masks(images, args.out_dir, **work)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    if problems:
        print(
            f'error: {len(problems)} of {len(images)} masks are wrong, such '
            'as',
            *problems[:10],
            'Run again with --overwrite to make all masks anew.',
            sep='\n',
            file=sys.stderr)
        return 1
    empty = sum(not image.instances for image in images)
    print(f'{len(images)} masks in {args.out_dir}: {written} written, '
          f'{len(images) - written} were there; {empty} of them have no '
          'instance and are all background; sizes and classes checked '
          f'({time.monotonic() - start:.0f} s)')
    return 0


if __name__ == '__main__':
    sys.exit(main())
