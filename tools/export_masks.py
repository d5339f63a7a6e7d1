"""Write masks for an annotation tool, in which they are corrected.

tools/import_masks.py reads the corrected ones. A format is

  cvat          zip archive "Segmentation mask 1.1": in CVAT, upload it as
                annotations of a task of the same photos
  coco-rle      COCO JSON with run lengths, an annotation per photo and class
  label-studio  tasks with brush labels as predictions, and beside them the
                labelling interface (.xml)
"""
import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from mmlpcam.apis import PhotoInput, find_photos
from mmlpcam.converters.mask_formats import MASK_FORMATS, NamedMask
from mmlpcam.utils import read_classes, reading
from mmlpcam.utils.masks import read_index_mask
from mmlpcam.utils.names import listed
from mmlpcam.utils.parallel import track_on_terminal
from mmlpcam.utils.photos import photo_size


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: tools/export_masks.py runs/first/labels/masks photos '
        'masks.zip --format cvat --classes my_project/classes.json')
    parser.add_argument(
        'masks', type=Path, help='folder of the masks, <photo>.png')
    parser.add_argument('photos', type=Path, help='folder of the photos')
    parser.add_argument('out', type=Path, help='file to write')
    parser.add_argument('--format', required=True, choices=MASK_FORMATS)
    parser.add_argument(
        '--classes',
        required=True,
        help='classes.json of a project: names and colours of the values')
    parser.add_argument(
        '--ids',
        type=Path,
        help='write the masks of these photos alone, one name a line, such as '
        'worst.txt of tools/rank_masks.py (default: all that have a mask)')
    return parser.parse_args()


def choose(args: argparse.Namespace) -> list[PhotoInput]:
    """Return the photos whose masks are exported."""
    photos = {photo.name: photo for photo in find_photos(args.photos)}
    masks = {name: args.masks / f'{name}.png' for name in photos}
    wanted = [name for name, path in masks.items() if path.is_file()]
    if args.ids:
        with reading(args.ids, 'list of photos in UTF-8'):
            lines = args.ids.read_text(encoding='utf-8-sig').splitlines()
        names = dict.fromkeys(line for line in lines if line.strip())
        with_mask = set(wanted)
        lacking = [name for name in names if name not in with_mask]
        if lacking:
            raise ValueError(
                f'{len(lacking)} of {len(names)} lines of {args.ids} have no '
                f'photo in {args.photos} with a mask in {args.masks}: '
                f'{listed(lacking)}')
        wanted = list(names)
    if not wanted:
        raise ValueError(f'no photo in {args.photos} has a mask in '
                         f'{args.masks}: masks are named after the photos')
    return [photos[name] for name in wanted]


def load(photos: list[PhotoInput],
         args: argparse.Namespace) -> Iterator[NamedMask]:
    for name, source in photos:
        path = args.masks / f'{name}.png'
        mask = read_index_mask(path)
        if mask.shape[::-1] != photo_size(source):
            raise ValueError(f'{path} is {mask.shape} (H, W), but {source} is '
                             f'{photo_size(source)[::-1]}: is it the mask of '
                             'another photo?')
        file_name = Path(source).relative_to(args.photos).as_posix()
        yield NamedMask(name, file_name, mask)


def main() -> int:
    args = parse_args()
    try:
        info = read_classes(args.classes)
        kind = MASK_FORMATS[args.format]
        if args.out.suffix != kind.suffix:
            raise ValueError(f'{args.out}: a file of {args.format} ends in '
                             f'{kind.suffix}')
        photos = choose(args)
        masks = track_on_terminal((load(photos, args), len(photos)))
        kind(info['classes'], info['palette']).write(masks, args.out)
    except (ImportError, OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    print(f'{len(photos)} masks written to {args.out}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
