"""Turn any label source into one JSON file of image labels.

The file, {"image id": ["class", ...], ...}, is what JSONLabels reads: one
format to look at, to correct by hand and to keep with the data, instead of
thousands of XML files or the NumPy file of another code. It is read again and
compared before it gets its name.
"""
import argparse
import difflib
import os
import sys

from mmseg.registry import DATASETS
from prettytable import PrettyTable

from mmlpcam.converters.label_source_args import (build_source,
                                                  describe_sources,
                                                  label_source_parser,
                                                  source_cfg)
from mmlpcam.datasets import (BACKGROUND_NAMES, ImageLabelDataset, JSONLabels,
                              PhotoFolderDataset)
from mmlpcam.utils import atomic_path, write_json
from mmlpcam.utils.classes import check_class_names

EXAMPLES = """\
sources, of which those in brackets are options:
{sources}

examples:
  PASCAL VOC, objects marked as difficult left out:
    tools/prepare_image_labels.py \\
        --source VOCXMLLabels --source-options ann_dir=$VOC/Annotations \\
        with_difficult=False \\
        --dataset PascalVOCDataset --img-dir $VOC/JPEGImages \\
        --ann-file $VOC/ImageSets/Segmentation/train_aug.txt --out labels.json

  the cls_labels.npy of an official code:
    tools/prepare_image_labels.py \\
        --source NPYLabels --source-options npy_file=cls_labels.npy \\
        --dataset PascalVOCDataset --img-dir $VOC/JPEGImages \\
        --ann-file $VOC/ImageSets/Segmentation/train_aug.txt --out labels.json

  a folder per class:
    tools/prepare_image_labels.py --source FolderLabels \\
        --classes cat dog "guinea pig" --img-dir photos --out labels.json

  a source of your own, in my_labels.py of the current folder:
    PYTHONPATH=. tools/prepare_image_labels.py --custom-imports my_labels \\
        --source MyLabels --classes cat dog --img-dir photos \\
        --out labels.json

use of the file, in a config:
  dict(type='ImageLabelDataset', dataset=...,
       labels=dict(type='JSONLabels', json_file='labels.json'))
"""


def parse_args() -> argparse.Namespace:
    sources = label_source_parser(required=True)
    parser = argparse.ArgumentParser(
        parents=[sources],
        description=__doc__,
        epilog=EXAMPLES.format(sources=describe_sources()),
        formatter_class=argparse.RawDescriptionHelpFormatter)
    classes = parser.add_mutually_exclusive_group(required=True)
    classes.add_argument(
        '--dataset', help='registered dataset that has the classes')
    classes.add_argument(
        '--classes', nargs='+', help='class names, without the background')
    parser.add_argument(
        '--img-dir', required=True, help='folder of the images')
    parser.add_argument(
        '--ann-file',
        default='',
        help='list of image ids, paths below --img-dir without suffix; all '
        'images of the folder if not given')
    parser.add_argument('--out', required=True, help='JSON file to write')
    parser.add_argument(
        '--overwrite', action='store_true', help='replace the file')
    return parser.parse_args()


def class_names(dataset: str | None, names: list[str] | None) -> list[str]:
    """Return all class names, the background first."""
    if names:
        wrong = [name for name in names if name.lower() in BACKGROUND_NAMES]
        if wrong:
            raise ValueError('--classes are those that images are labelled '
                             f'with: leave out {wrong[0]!r}')
        check_class_names(names, '--classes')
        return ['background', *names]
    cls = DATASETS.get(dataset)
    if cls is None:
        near = difflib.get_close_matches(dataset, DATASETS.module_dict)
        raise ValueError(f'--dataset: no dataset {dataset!r} is registered; '
                         f'nearest names: {", ".join(near) or "none"}')
    names = getattr(cls, 'METAINFO', {}).get('classes')
    if not names:
        raise ValueError(f'--dataset: {dataset} has no classes of its own; '
                         'give them with --classes')
    return list(names)


def read_labels(args: argparse.Namespace) -> ImageLabelDataset:
    return ImageLabelDataset(
        PhotoFolderDataset(
            dict(img_path=args.img_dir),
            ann_file=args.ann_file,
            metainfo=dict(classes=class_names(args.dataset, args.classes)),
            lazy_init=True), build_source(source_cfg(args)))


def write_labels(path: str, dataset: ImageLabelDataset) -> None:
    classes = dataset.metainfo['classes'][1:]
    labels = {
        info['image_id']: info['img_labels']
        for info in map(dataset.get_data_info, range(len(dataset)))
    }
    content = {
        image_id: [classes[label] for label in found]
        for image_id, found in labels.items()
    }
    with atomic_path(path) as tmp:
        write_json(tmp, content)
        again = JSONLabels(str(tmp)).load(dataset.images, classes)
        if again != labels:
            raise RuntimeError(
                f'{path} was not written: JSONLabels would read other labels '
                'from it; are class names unique?')


def print_table(dataset: ImageLabelDataset) -> None:
    table = PrettyTable(['class', 'images'])
    table.align = 'r'
    table.align['class'] = 'l'
    counts = dataset.label_counts
    for name, count in zip(dataset.metainfo['classes'][1:], counts):
        table.add_row([name, count])
    print(table)
    empty = sum(not dataset.get_cat_ids(i) for i in range(len(dataset)))
    print(f'{len(dataset)} images, {empty} without label, '
          f'{counts.sum() / len(dataset):.2f} labels per image')


def main() -> int:
    args = parse_args()
    try:
        if os.path.exists(args.out) and not args.overwrite:
            raise FileExistsError(f'{args.out} is there already; replace it '
                                  'with --overwrite')
        dataset = read_labels(args)
        write_labels(args.out, dataset)
    except (OSError, RuntimeError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    print_table(dataset)
    print(f'written to {args.out}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
