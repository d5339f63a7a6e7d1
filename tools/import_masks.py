"""Read masks that were corrected in an annotation tool.

The folder that it makes, a PNG of class indices per photo, is a
`true_label_dir` (see docs/inference.md), and `--masks` of
tools/new_project.py. Formats are those of tools/export_masks.py.
"""
import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from mmlpcam.apis import find_photos
from mmlpcam.converters.mask_formats import MASK_FORMATS
from mmlpcam.utils import read_classes
from mmlpcam.utils.masks import write_index_mask


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: tools/import_masks.py corrected.zip photos corrected '
        '--format cvat --classes my_project/classes.json')
    parser.add_argument(
        'source',
        type=Path,
        help='what the annotation tool has exported: a JSON file, or a zip '
        'archive of CVAT or its folder')
    parser.add_argument('photos', type=Path, help='folder of the photos')
    parser.add_argument('out', type=Path, help='folder of the masks, to make')
    parser.add_argument('--format', required=True, choices=MASK_FORMATS)
    parser.add_argument(
        '--classes',
        required=True,
        help='classes.json of a project: names and colours of the values')
    return parser.parse_args()


def import_masks(args: argparse.Namespace, out: Path) -> int:
    """Write the masks into a folder and return their number."""
    info = read_classes(args.classes)
    photos = {photo.name: photo.source for photo in find_photos(args.photos)}
    masks = MASK_FORMATS[args.format](info['classes'], info['palette'])
    written = set()
    for image_id, mask in masks.read(args.source, photos):
        if image_id in written:
            raise ValueError(f'{args.source}: two masks are of {image_id!r}')
        written.add(image_id)
        write_index_mask(out / f'{image_id}.png', mask, info['palette'])
    if not written:
        raise ValueError(f'{args.source} holds no mask of any photo in '
                         f'{args.photos}')
    return len(written)


def main() -> int:
    args = parse_args()
    try:
        if args.out.exists():
            raise FileExistsError(f'{args.out} is there already: choose '
                                  'another folder, or remove it')
        args.out.parent.mkdir(parents=True, exist_ok=True)
        # all masks or none: half of them would look like a choice
        folder = Path(tempfile.mkdtemp(prefix='.tmp-', dir=args.out.parent))
        try:
            number = import_masks(args, folder / 'masks')
            (folder / 'masks').replace(args.out)
        finally:
            shutil.rmtree(folder)
    except (ImportError, OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    print(f'{number} masks written to {args.out}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
