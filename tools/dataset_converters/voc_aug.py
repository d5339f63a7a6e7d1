"""Make `train_aug` of PASCAL VOC 2012 with the help of SBD.

Writes, into the folder of VOC,

  ImageSets/Segmentation/train_aug.txt   (VOC train + SBD train + SBD val)
                                         - VOC val: 10582 images
  SegmentationClassAug/<id>.png          mask of VOC where VOC train has one,
                                         else of SBD

Training from image labels needs the list alone (--list-only): the labels are
in Annotations/ of VOC. Masks that are there already are kept, so that a run
that was interrupted carries on when it is started again. At the end all masks
are read again and checked.
"""
import argparse
import sys
import time

from mmlpcam.converters import voc_aug
from mmlpcam.utils.parallel import add_parallel_args, track_on_terminal

EXAMPLE = """\
example:
  python tools/dataset_converters/voc_aug.py data/VOCdevkit/VOC2012 \\
      benchmark_RELEASE/dataset

SBD is https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/
semantic_contours/benchmark.tgz
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('voc_dir', help='folder VOCdevkit/VOC2012')
    parser.add_argument('sbd_dir', help='folder benchmark_RELEASE/dataset')
    parser.add_argument(
        '--list-only', action='store_true', help='write no masks')
    add_parallel_args(parser)
    return parser.parse_args()


def warn_if_incomplete(splits: dict[str, list[str]], ids: list[str]) -> None:
    if len(ids) == voc_aug.NUM_IMAGES:
        return
    sizes = ', '.join(f'{name} {len(splits[name])} (complete: {complete})'
                      for name, complete in voc_aug.SPLIT_SIZES.items())
    print(
        f'warning: train_aug has {len(ids)} images, but '
        f'{voc_aug.NUM_IMAGES} with complete data, so results will not '
        f'compare with published ones. The lists hold: {sizes}',
        file=sys.stderr)


def main() -> int:
    args = parse_args()
    start = time.monotonic()
    work = dict(nproc=args.nproc, track=track_on_terminal)
    voc_dir, sbd_dir = args.voc_dir, args.sbd_dir
    wrong: list[str] = []
    try:
        splits = voc_aug.read_splits(voc_dir, sbd_dir)
        ids = voc_aug.train_aug_ids(splits)
        warn_if_incomplete(splits, ids)
        is_new = voc_aug.write_list(voc_dir, ids, overwrite=args.overwrite)
        print(f'{voc_aug.LIST_FILE}: {len(ids)} images, '
              f'{"written" if is_new else "was there"}')
        missing = voc_aug.check_sources(voc_dir, ids)
        for problem in missing:
            print(f'error: {problem}', file=sys.stderr)
        if not args.list_only:
            written = voc_aug.write_aug_masks(
                voc_dir, sbd_dir, splits, overwrite=args.overwrite, **work)
            print(f'{voc_aug.MASK_FOLDER}: {written} masks written, '
                  f'{len(ids) - written} were there '
                  f'({time.monotonic() - start:.0f} s)')
            wrong = voc_aug.check_aug_masks(voc_dir, ids, **work)
    except (OSError, RuntimeError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    if wrong:
        print(
            f'error: {len(wrong)} of {len(ids)} masks are wrong, such as',
            *wrong[:10],
            'Run again with --overwrite to make all masks anew.',
            sep='\n',
            file=sys.stderr)
    return 1 if missing or wrong else 0


if __name__ == '__main__':
    sys.exit(main())
