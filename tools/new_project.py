"""Make a project of configs from a folder of photos and a CSV of tags.

The table is what CSVLabels reads: the photo in the first column, then its
tags, a row per tag, or a column of 1 and 0 per class. Instead of a table,
--source takes any other label source. Masks are not needed; where some photos
have one, --masks scores maps and segmentor with them.
"""
import argparse
import re
import sys
from pathlib import Path

from mmengine.device import is_cuda_available
from prettytable import PrettyTable

from mmlpcam.converters.label_source_args import (build_source,
                                                  describe_sources,
                                                  label_source_parser,
                                                  source_cfg)
from mmlpcam.converters.photo_project import (SEGMENTOR_TRAINING, config_files,
                                              make_palette)
from mmlpcam.converters.photo_splits import (MIN_PHOTOS, choose_tag_val,
                                             choose_val)
from mmlpcam.converters.pretrained_file import (missing_downloads,
                                                read_pretrained_file)
from mmlpcam.datasets import (BACKGROUND_NAMES, CSVLabels, ImageFinder, Labels,
                              MaskLabels, PhotoFolderDataset,
                              SegDatasetWrapper, check_images, check_masks,
                              load_labels)
from mmlpcam.datasets.label_sources.table_reader import LAYOUTS, TagTable
from mmlpcam.utils.classes import check_class_names
from mmlpcam.utils.names import listed

LARGE_PHOTO = 4_000_000  # pixels
EPILOG = """\
label sources, of which those in brackets are options:
{sources}

examples:
  tools/new_project.py photos tags.csv my_project
  tools/new_project.py photos my_project --classes cat dog \\
      --source FolderLabels
  PYTHONPATH=. tools/new_project.py photos my_project --classes cat dog \\
      --source MyLabels --custom-imports my_labels
"""


def parse_args() -> argparse.Namespace:
    sources = label_source_parser()
    parser = argparse.ArgumentParser(
        parents=[sources],
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EPILOG.format(sources=describe_sources()))
    parser.add_argument('photos', type=Path, help='folder of the photos')
    parser.add_argument(
        'tags',
        type=Path,
        nargs='?',
        help='CSV file: photo,tag;tag; left out with --source')
    parser.add_argument('project_dir', type=Path, help='folder to make')
    parser.add_argument(
        '--size',
        choices=tuple(SEGMENTOR_TRAINING),
        default='base' if is_cuda_available() else 'mobile',
        help='mobile: MobileNetV2 with ImageNet weights, for a CPU; base: '
        'ResNet-50 with ImageNet weights, for a GPU; small: ResNet-18 from '
        'scratch, for drawings and the like (default on this machine: '
        '%(default)s)')
    parser.add_argument(
        '--weights',
        type=Path,
        help='file of the ImageNet weights, for machines without internet '
        '(default: downloaded at the first training)')
    parser.add_argument(
        '--tag-val-fraction',
        type=float,
        default=0.2,
        help='share of the photos whose tags the classifier does not learn '
        'but is scored by; 0 for none (default: 0.2)')
    parser.add_argument(
        '--classes',
        nargs='+',
        metavar='NAME',
        help='classes without the background, in the order of the mask '
        'values 1, 2, ... (default: all tags of the table, sorted)')
    parser.add_argument(
        '--delimiter',
        help='what separates columns (default: found in the table)')
    parser.add_argument(
        '--sep',
        help='what separates tags in a cell (default: found in the table)')
    parser.add_argument(
        '--layout',
        choices=LAYOUTS,
        help='a row per photo, a column per class, or a row per tag '
        '(default: found in the table)')
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
    # photos, tags and project_dir may have options between them
    args = parser.parse_intermixed_args()
    check_options(parser, args)
    return args


def check_options(parser: argparse.ArgumentParser,
                  args: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    if bool(args.tags) == bool(args.source):
        parser.error('give either a table of tags or --source: '
                     'PHOTOS TAGS PROJECT_DIR, or '
                     'PHOTOS PROJECT_DIR --source NAME ...')
    if args.source and not args.classes:
        parser.error('--source needs --classes, the names that it knows')
    if args.source and (args.delimiter or args.sep or args.layout):
        parser.error('--delimiter, --sep and --layout are for a table of '
                     'tags: give options of a source behind --source-options')
    if args.train_on_masks and not args.masks:
        parser.error('--train-on-masks needs --masks')
    if args.weights and args.size == 'small':
        parser.error('--size small starts from scratch and takes no '
                     '--weights: take --size mobile or base')
    if not 0 <= args.tag_val_fraction < 1:
        parser.error('--tag-val-fraction must be at least 0 and below 1, but '
                     f'is {args.tag_val_fraction}')
    if not 0 < args.val_fraction < 1:
        parser.error('--val-fraction must lie between 0 and 1, but is '
                     f'{args.val_fraction}')


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


def read_table(args: argparse.Namespace,
               photos: dict[str, str]) -> tuple[dict, Labels, list[str]]:
    """Return how to read the table, the labels of its photos, and classes.

    Raises:
        ValueError: If the table cannot be meant for these photos.
    """
    source = CSVLabels(
        str(args.tags), args.sep, delimiter=args.delimiter, layout=args.layout)
    table = source.read(photos, args.classes or ())
    untagged = [i for i in photos if i not in table.tags]
    check_strangers(table, photos, set(untagged))
    if untagged:
        warn(f'{len(untagged)} photos have no row in {args.tags} and '
             f'are left out: {listed(untagged)}. A photo without any of the '
             'classes needs a row without tags')
    tags = set().union(*table.tags.values())
    classes = args.classes or sorted(tags)
    check_classes(classes, tags, str(args.tags))
    cfg = dict(
        type='CSVLabels',
        csv_file=str(args.tags.absolute()),
        sep=table.sep,
        delimiter=table.delimiter,
        layout=table.layout)
    labels = load_labels(source, {i: photos[i] for i in table.tags}, classes)
    return {k: v for k, v in cfg.items() if v is not None}, labels, classes


def check_strangers(table: TagTable, photos: dict[str, str],
                    untagged: set[str]) -> None:
    """Look at the rows that name no photo."""
    finder = ImageFinder(photos)
    for line, name in table.strangers:
        if (near := finder.guess(name)) in untagged:
            raise ValueError(
                f'{table.path}, line {line}: {name!r} is no photo, but '
                f'{near!r} is, and has no row: write names as those of the '
                'files, and columns alike in all rows')
    if table.strangers:
        names = [f'{name} (line {line})' for line, name in table.strangers]
        warn(f'{len(names)} rows name no photo: {listed(names)}')


def read_source(args: argparse.Namespace,
                photos: dict[str, str]) -> tuple[dict, Labels, list[str]]:
    """Return the config of the source, the labels, and classes."""
    cfg = source_cfg(args)
    source = build_source(cfg)
    if '{{' in str(cfg):
        raise ValueError('--source-options hold {{, which MMEngine '
                         'replaces in configs: rename what it names')
    check_classes(args.classes, set(), '--classes')
    for key, value in args.source_options.items():
        path = Path(str(value))
        if path.exists() and not path.is_absolute():
            warn(f'{key}={value} of --source-options starts at the current '
                 'folder, and so must training: better give the absolute path')
    return cfg, load_labels(source, photos, args.classes), args.classes


def warn_of_constant(labels: Labels, classes: list[str]) -> None:
    """Warn of classes that cannot be told from anything."""
    for index, name in enumerate(classes):
        if all(index in found for found in labels.values()):
            warn(f'{name!r} is on every photo: there is nothing to tell it '
                 'from, and its masks would cover everything. Add photos '
                 'without it, or leave the class out')


def check_classes(classes: list[str], tags: set[str], csv_file: str) -> None:
    if not classes:
        raise ValueError(f'no photo in {csv_file} has a tag: expected them in '
                         'the columns behind the name')
    if len(classes) > 254:
        raise ValueError(f'{len(classes)} classes are too many: masks hold '
                         'at most 254 (0 is background, 255 is ignored)')
    check_class_names(classes, csv_file)
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
        parts = set(filter(None, re.split(r'\W+', name)))
        if len(parts) > 1 and parts <= tags:
            raise ValueError(
                f'{csv_file}: {name!r} looks like several tags, since each of '
                f'{listed(sorted(parts))} is one: separate them by ";"')


def check_paths(args: argparse.Namespace, image_ids: list[str]) -> None:
    """Refuse paths that a config or a list cannot hold as they are."""
    for path in filter(None,
                       (args.photos, args.tags, args.masks, args.weights)):
        if '{{' in str(path.absolute()):
            raise ValueError(f'{str(path)!r} holds {{{{, which MMEngine '
                             'replaces in configs: rename the folder')
    # MMEngine puts this one between quotes
    if set(str(args.project_dir.absolute())) & set('\'"\\{}\r\n'):
        raise ValueError(f'the name of the project {str(args.project_dir)!r} '
                         'and of the folders above it must not have quotes, '
                         'backslashes, braces or line breaks')
    broken = [i for i in image_ids if i.splitlines() != [i.strip()]]
    if broken:
        raise ValueError('names of photos must not have line breaks, or '
                         f'blanks at an end: {listed(broken)}')


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
    shown = MaskLabels(str(masks)).load(
        {
            i: info['img_path']
            for i, info in found.items()
        }, classes)
    differing = [i for i in found if shown[i] != labels[i]]
    if differing:
        warn(f'{len(differing)} of {len(found)} masks show other classes '
             f'than the tags say: {listed(differing)}. If these are most of '
             'them, give --classes in the order of the mask values')
    return list(found)


def split_photos(args: argparse.Namespace, labels: Labels,
                 classes: list[str]) -> dict[str, list[str]]:
    """Return the ids of the photos of each list of the project.

    Raises:
        ValueError: If too few are left to train on, or masks do not fit.
    """
    splits = dict(train=sorted(labels))
    if args.masks:
        masked = read_masks(args.photos, args.masks, labels, classes)
        splits['val'] = choose_val(masked, args.val_fraction, args.seed)
        splits['train'] = sorted({*labels} - {*splits['val']})
    if len(splits['train']) < MIN_PHOTOS:
        raise ValueError(
            f'there are {len(splits["train"])} photos to train on, but at '
            f'least {MIN_PHOTOS} are needed')
    tag_val = choose_tag_val(labels, splits['train'], args.tag_val_fraction,
                             args.seed)
    if tag_val:
        splits['tags_train'] = sorted({*splits['train']} - {*tag_val})
        splits['tags_val'] = tag_val
    return splits


def note_downloads(size: str) -> None:
    """Say which weights the first training will fetch, and from where."""
    wanted = missing_downloads(size)
    if wanted:
        print('The training starts from ImageNet weights, which are not on '
              'this machine yet. With internet it fetches them itself; '
              'without, fetch them elsewhere and put them there:')
        for url, cached in wanted.items():
            print(f'  {url}\n    to {cached}')


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


def main() -> int:
    args = parse_args()
    try:
        if args.project_dir.exists():
            raise FileExistsError(f'{args.project_dir} is there already: '
                                  'choose another folder, or remove it')
        photos = {i: info['img_path'] for i, info in find(args.photos).items()}
        sizes = check_images(list(photos.values()))
        check_paths(args, list(photos))
        read = read_source if args.source else read_table
        label_cfg, labels, classes = read(args, photos)
        warn_of_constant(labels, classes)
        splits = split_photos(args, labels, classes)
        weights = None
        if args.weights:
            weights = read_pretrained_file(args.weights, args.size)
        palette = make_palette(len(classes) + 1)
        files = config_files(args, label_cfg, classes, palette,
                             len(splits['train']), 'tags_val' in splits,
                             weights)
        for split, image_ids in splits.items():
            files[f'{split}.txt'] = '\n'.join(image_ids) + '\n'
        encoded = {name: text.encode() for name, text in files.items()}
        args.project_dir.mkdir(parents=True)
        for name, content in encoded.items():
            (args.project_dir / name).write_bytes(content)
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    largest = max(width * height for width, height in sizes)
    if largest > LARGE_PHOTO:
        warn(f'the largest photo has {largest / 1e6:.0f} million pixels, and '
             'masks are made at the size of the photo: make photos smaller '
             'first; 1024 pixels a side are plenty')
    print_table(classes, palette, labels, splits)
    if weights is None:
        note_downloads(args.size)
    print(f'written: {", ".join(files)} in {args.project_dir}; to train:\n'
          f'  python -m mmlpcam.tools.train {args.project_dir}/segmentor.py')
    return 0


if __name__ == '__main__':
    sys.exit(main())
