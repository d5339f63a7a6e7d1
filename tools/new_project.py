"""Make a project of configs from a folder of photos and a CSV of tags.

The table is what CSVLabels reads: a row per photo, its name first, then its
tags. Masks are not needed; where some photos have one, --masks scores maps
and segmentor with them.
"""
import argparse
import colorsys
import math
import pprint
import sys
from pathlib import Path

import numpy as np
from prettytable import PrettyTable

from mmlpcam.datasets import (BACKGROUND_NAMES, CSVLabels, MaskLabels,
                              PhotoFolderDataset, SegDatasetWrapper,
                              check_images, check_masks)
from mmlpcam.datasets.image_label_sources import Labels, listed, to_image_id

MIN_PHOTOS = 8  # a batch of the small segmentor
LARGE_PHOTO = 4_000_000  # pixels
# Half of what the classifier sees on VOC, in photos: a small set is seen more
# often, within limits.
CLASSIFIER_PHOTOS = 24_000
CLASSIFIER_EPOCHS = (5, 100)
SMALL_CLASSIFIER_EPOCHS = 20
SEGMENTOR_TRAINING = dict(
    base='max_iters=8000, val_interval=1000',
    small='max_epochs=30, val_interval=10')

DATA = """\
# The data of the project: edit it when files move.
num_classes = {num_classes}  # with the background
photo_dir = {photos!r}
image_labels = dict({labels})
photos = dict(
    type='PhotoFolderDataset',
    data_prefix=dict(img_path=photo_dir),
    ann_file='{{{{ fileDirname }}}}/train.txt',
    metainfo=dict(
        classes={classes},
        palette={palette}))
"""
DATA_WITH_MASKS = """
# Photos with a true mask: those in train.txt score the maps, those in val.txt
# the segmentor, which never trains on them.
mask_dir = {masks!r}
scored_photos = dict(
    photos,
    data_prefix=dict(img_path=photo_dir, seg_map_path=mask_dir),
    only_masked=True)
val_photos = dict(scored_photos, ann_file='{{{{ fileDirname }}}}/val.txt')
"""
CLASSIFIER = """\
# Learns the tags, and clusters its features into prototypes.
_base_ = [
    __import__('mmlpcam').config_path('_base_/photos/classifier_{size}.py'),
    './data.py'
]

# ---- often changed ---------------------------------------------------------
max_epochs = {max_epochs}
num_clusters = 12  # K, for class and context prototypes each
fg_thr = 0.25  # tau, splits features by their CAM
mu_f = 0.5  # class prototypes score above it
mu_b = 0.5  # context prototypes score below it ...
mu_b_low = 0.  # ... and above it
# ----------------------------------------------------------------------------

model = dict(
    decode_head=dict(
        num_classes=_base_.num_classes, num_clusters=num_clusters))
train_cfg = dict(max_epochs=max_epochs)
train_dataloader = dict(
    dataset=dict(labels=_base_.image_labels, dataset=_base_.photos))
label_dataloader = dict(
    dataset=dict(labels=_base_.image_labels, dataset=_base_.photos))
{test}
custom_hooks = [
    *_base_.custom_hooks,
    dict(
        _base_.prototypes,
        dataset=dict(
            type='ImageLabelDataset',
            labels=_base_.image_labels,
            dataset=dict(
                _base_.photos, test_mode=True, pipeline=_base_.test_pipeline)),
        fg_thr=fg_thr,
        mu_f=mu_f,
        mu_b=mu_b,
        mu_b_low=mu_b_low)
]
"""
CLASSIFIER_TEST = """\
test_dataloader = dict(
    dataset=dict(labels=_base_.image_labels, dataset=_base_.scored_photos))"""
SEGMENTOR = """\
# Tags in, trained segmentor out: the config to train with.
_base_ = [
    __import__('mmlpcam').config_path('_base_/photos/segmentor_{size}.py'),
    './data.py'
]

# ---- often changed ---------------------------------------------------------
train_cfg = dict({training})
bg_thr = 0.4  # score of the background: a higher one makes masks smaller
# ----------------------------------------------------------------------------

stage_configs = dict(classifier='{{{{ fileDirname }}}}/classifier.py')
stages = dict(labels=dict(model=dict(test_cfg=dict(bg_thr=bg_thr))){no_seed})
model = dict(
{heads})
train_dataloader = dict(
    dataset=dict({true_masks}dataset=_base_.photos))
{test}
"""
SEGMENTOR_TEST = """\
val_dataloader = dict(dataset=_base_.val_photos)
test_dataloader = val_dataloader"""
NO_TEST = '{0}_dataloader = {0}_evaluator = {0}_cfg = None  # no masks'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: tools/new_project.py photos tags.csv my_project')
    parser.add_argument('photos', type=Path, help='folder of the photos')
    parser.add_argument('tags', type=Path, help='CSV file: photo,tag;tag')
    parser.add_argument('project_dir', type=Path, help='folder to make')
    parser.add_argument(
        '--size',
        choices=tuple(SEGMENTOR_TRAINING),
        default='base',
        help='base: ResNet-50 with ImageNet weights, for a GPU (default); '
        'small: ResNet-18 from scratch, to try things out on a CPU')
    parser.add_argument(
        '--classes',
        nargs='+',
        metavar='NAME',
        help='classes without the background, in the order of the mask '
        'values 1, 2, ... (default: all tags, sorted)')
    parser.add_argument(
        '--delimiter', default=',', help='what separates columns (default: ,)')
    parser.add_argument(
        '--masks',
        type=Path,
        help='folder of true masks of some photos, <photo>.png, for scores')
    parser.add_argument(
        '--train-on-masks',
        action='store_true',
        help='train on the true mask where a photo has one')
    parser.add_argument(
        '--val-fraction',
        type=float,
        default=0.2,
        help='share of the photos with masks that is kept back to validate '
        'the segmentor (default: 0.2)')
    parser.add_argument(
        '--seed', type=int, default=0, help='seed of that choice (default: 0)')
    args = parser.parse_args()
    if args.train_on_masks and not args.masks:
        parser.error('--train-on-masks needs --masks')
    if not 0 < args.val_fraction < 1:
        parser.error('--val-fraction must lie between 0 and 1, but is '
                     f'{args.val_fraction}')
    return args


def warn(message: str) -> None:
    print(f'warning: {message}', file=sys.stderr)


def find(photos: Path, masks: Path | None = None) -> dict[str, dict]:
    """Return what is known about each photo, or each with a mask, by id."""
    prefix = dict(img_path=str(photos))
    if masks is not None:
        prefix['seg_map_path'] = str(masks)
    found = SegDatasetWrapper(
        PhotoFolderDataset(prefix, only_masked=masks is not None),
        check_files=False)
    return dict(
        zip(found.image_ids, map(found.get_data_info, range(len(found)))))


def read_labels(source: CSVLabels, image_ids: list[str],
                classes: list[str] | None) -> tuple[Labels, list[str]]:
    """Return the labels of the photos that the table names, and the classes.

    Raises:
        ValueError: If the table cannot be meant for these photos.
    """
    tags, strangers = {}, []
    known = set(image_ids)
    for line, name, found in source.rows():
        image_id = to_image_id(name, known)
        if image_id in known:
            tags.setdefault(image_id, found)  # `load` refuses a second one
        else:
            strangers.append((line, name))
    if strangers and strangers[0][0] == 1:
        print(f'line 1 of {source.csv_file} is a header: it names no photo')
        strangers.pop(0)
    names = [f'{name} (line {line})' for line, name in strangers]
    if not tags:
        raise ValueError(
            f'no row of {source.csv_file} names a photo: its rows begin with '
            f'{listed(names, 2) if names else "nothing"}, but photos are '
            f'named like {listed(image_ids, 2)}')
    if strangers:
        warn(f'{len(strangers)} rows name no photo: {listed(names)}')
    untagged = [i for i in image_ids if i not in tags]
    if untagged:
        warn(f'{len(untagged)} photos have no row in {source.csv_file} and '
             f'are left out: {listed(untagged)}. A photo without any of the '
             'classes needs a row without tags')
    classes = classes or sorted(set().union(*tags.values()))
    check_classes(classes, source.csv_file)
    return source.load(list(tags), tuple(classes)), classes


def check_classes(classes: list[str], csv_file: str) -> None:
    if not classes:
        raise ValueError(
            f'no photo has a tag: are the columns of {csv_file} separated by '
            'something else? Then set --delimiter')
    if len(classes) > 254:
        raise ValueError(f'{len(classes)} classes are too many: masks hold '
                         'at most 254 (0 is background, 255 is ignored)')
    seen: dict[str, str] = {}
    for name in classes:
        if name.lower() in BACKGROUND_NAMES:
            raise ValueError(f'{name!r} is no class to tag photos with: all '
                             'that has no class is background. A photo of '
                             'nothing else needs a row without tags')
        if name.casefold() in seen:
            raise ValueError(f'{seen[name.casefold()]!r} and {name!r} would '
                             'be two classes: write one of them in all rows')
        seen[name.casefold()] = name


def read_masks(photos: Path, masks: Path, labels: Labels,
               classes: list[str]) -> list[str]:
    """Return the ids of tagged photos with a mask, after a look at it.

    Raises:
        ValueError: If there are too few, or masks do not fit the photos.
    """
    found = {i: info for i, info in find(photos, masks).items() if i in labels}
    if len(found) < 2:
        raise ValueError(
            f'{len(found)} photos with tags have a mask in {masks}, but two '
            'are needed: one to score maps, one to validate the segmentor')
    check_masks([info['img_path'] for info in found.values()],
                [info['seg_map_path'] for info in found.values()],
                len(classes) + 1)
    shown = MaskLabels(str(masks)).load(list(found), tuple(classes))
    differing = [i for i in found if shown[i] != labels[i]]
    if differing:
        warn(f'{len(differing)} of {len(found)} masks show other classes '
             f'than the tags say: {listed(differing)}. If these are most of '
             'them, give --classes in the order of the mask values')
    return list(found)


def choose_val(masked: list[str], fraction: float, seed: int) -> list[str]:
    """Draw the photos that validate the segmentor."""
    count = min(max(round(fraction * len(masked)), 1), len(masked) - 1)
    rng = np.random.default_rng(seed)
    return sorted(rng.permutation(masked)[:count].tolist())


def make_palette(num_classes: int) -> list[list[int]]:
    """Return distinct colours: hues around the circle, bright and darker."""
    colors = [[0, 0, 0]]
    for index in range(num_classes - 1):
        rgb = colorsys.hsv_to_rgb(index / (num_classes - 1), 0.85,
                                  (1., 0.7)[index % 2])
        colors.append([round(255 * value) for value in rgb])
    return colors


def print_table(classes: list[str], palette: list[list[int]], labels: Labels,
                splits: dict[str, list[str]]) -> None:
    table = PrettyTable(['class', 'mask value', 'colour', *splits])
    table.align = 'r'
    table.align['class'] = 'l'
    for index, name in enumerate(classes):
        table.add_row([
            name, index + 1, '#' + bytes(palette[index + 1]).hex(),
            *(sum(index in labels[i] for i in ids) for ids in splits.values())
        ])
    none = [sum(not labels[i] for i in ids) for ids in splits.values()]
    table.add_row(['(none)', 0, '', *none])
    table.add_row(['all photos', '', '', *map(len, splits.values())])
    print(table)


def classifier_epochs(size: str, num_photos: int) -> int:
    if size == 'small':
        return SMALL_CLASSIFIER_EPOCHS
    low, high = CLASSIFIER_EPOCHS
    return min(max(math.ceil(CLASSIFIER_PHOTOS / num_photos), low), high)


def config_files(args: argparse.Namespace, classes: list[str],
                 palette: list[list[int]], num_photos: int) -> dict[str, str]:
    """Return the text of each config by its name."""

    def wrapped(value: object) -> str:
        return pprint.pformat(
            value, width=62, compact=True).replace('\n', '\n' + 16 * ' ')

    labels = f"type='CSVLabels', csv_file={str(args.tags.absolute())!r}"
    if args.delimiter != ',':
        labels += f', delimiter={args.delimiter!r}'
    data = DATA + (DATA_WITH_MASKS if args.masks else '')
    heads = ['decode_head'] + ['auxiliary_head'] * (args.size == 'base')
    unscored = dict(
        classifier=NO_TEST.format('test'),
        segmentor='\n'.join(map(NO_TEST.format, ('val', 'test'))))
    return {
        'data.py':
        data.format(
            num_classes=len(classes) + 1,
            labels=labels,
            photos=str(args.photos.absolute()),
            masks=args.masks and str(args.masks.absolute()),
            classes=wrapped(('background', *classes)),
            palette=wrapped(palette)),
        'classifier.py':
        CLASSIFIER.format(
            size=args.size,
            max_epochs=classifier_epochs(args.size, num_photos),
            test=CLASSIFIER_TEST if args.masks else unscored['classifier']),
        'segmentor.py':
        SEGMENTOR.format(
            size=args.size,
            training=SEGMENTOR_TRAINING[args.size],
            no_seed='' if args.masks else ', seed=None',
            heads=',\n'.join(f'    {head}=dict(num_classes=_base_.num_classes)'
                             for head in heads),
            true_masks='true_label_dir=_base_.mask_dir, '
            if args.train_on_masks else '',
            test=SEGMENTOR_TEST if args.masks else unscored['segmentor'])
    }


def main() -> int:
    args = parse_args()
    try:
        if args.project_dir.exists():
            raise FileExistsError(f'{args.project_dir} is there already: '
                                  'choose another folder, or remove it')
        photos = find(args.photos)
        sizes = check_images([info['img_path'] for info in photos.values()])
        labels, classes = read_labels(
            CSVLabels(str(args.tags), delimiter=args.delimiter), list(photos),
            args.classes)
        splits = dict(train=sorted(labels))
        if args.masks:
            masked = read_masks(args.photos, args.masks, labels, classes)
            splits['val'] = choose_val(masked, args.val_fraction, args.seed)
            splits['train'] = sorted({*labels} - {*splits['val']})
        if len(splits['train']) < MIN_PHOTOS:
            raise ValueError(
                f'there are {len(splits["train"])} photos to train on, but '
                f'at least {MIN_PHOTOS} are needed')
        palette = make_palette(len(classes) + 1)
        files = config_files(args, classes, palette, len(splits['train']))
        for split, image_ids in splits.items():
            files[f'{split}.txt'] = '\n'.join(image_ids) + '\n'
        args.project_dir.mkdir(parents=True)
        for name, content in files.items():
            (args.project_dir / name).write_text(content, encoding='utf-8')
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    largest = max(width * height for width, height in sizes)
    if largest > LARGE_PHOTO:
        warn(f'the largest photo has {largest / 1e6:.0f} million pixels, and '
             'masks are made at the size of the photo: make photos smaller '
             'first; 1024 pixels a side are plenty')
    print_table(classes, palette, labels, splits)
    print(f'written: {", ".join(files)} in {args.project_dir}; to train:\n'
          f'  python -m mmlpcam.tools.train {args.project_dir}/segmentor.py')
    return 0


if __name__ == '__main__':
    sys.exit(main())
