"""Report on a chain or a joint run: its scores, and a picture of its steps.

With --html also a page for a browser, in one file without a network: photos,
the ones with the most doubtful masks first, maps, and masks at a threshold
that is moved there.

It may still be running: steps that are not there yet are left out, and so is
what needs true masks where there are none.
"""
import argparse
import sys
from pathlib import Path

from prettytable import PrettyTable

from mmlpcam.apis.run_contents import RunContents, for_photos
from mmlpcam.apis.run_page import RunPage
from mmlpcam.apis.run_panel import RunPanel
from mmlpcam.apis.run_scores import score_table, tag_tables
from mmlpcam.utils import add_cfg_options, read_config
from mmlpcam.utils.photos import write_picture


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: tools/report.py configs/lpcam/deeplabv3_parts.py '
        '--work-dir work_dirs/demo')
    parser.add_argument('config', help='config file of the run')
    parser.add_argument(
        '--work-dir', required=True, help='work dir of the run')
    parser.add_argument(
        '--num-images',
        type=int,
        default=8,
        help='rows of the picture (default: 8)')
    parser.add_argument(
        '--bg-thr',
        type=float,
        nargs='+',
        default=[],
        help='show the masks of these maps at these background scores too, to '
        'choose one by eye')
    parser.add_argument(
        '--out', help='picture to write; <work-dir>/panel.png if not given')
    parser.add_argument(
        '--html',
        nargs='?',
        type=Path,
        const=Path(),
        help='write a page too; <work-dir>/report.html if no file is given')
    parser.add_argument(
        '--html-images',
        type=int,
        default=80,
        help='photos of the page (default: 80)')
    add_cfg_options(parser, 'the overrides that the chain was trained with')
    args = parser.parse_args()
    for option in ('num_images', 'html_images'):
        if getattr(args, option) < 1:
            parser.error(f'--{option.replace("_", "-")} must be at least 1, '
                         f'but is {getattr(args, option)}')
    if not all(0 <= each <= 1 for each in args.bg_thr):
        parser.error(f'--bg-thr must be in [0, 1], but is {args.bg_thr}')
    return args


def print_scores(run: RunContents) -> None:
    for by_tags in tag_tables(run.stages).values():
        print('the classifier on photos that it has not seen, by their tags:')
        print(by_tags)
    header, *rows = score_table(run.work_dir, run.stages)
    table = PrettyTable(header)
    table.add_rows(rows)
    print(table if rows else 'no scores (yet): they need true masks')


def main() -> int:
    args = parse_args()
    work_dir = Path(args.work_dir)
    out = Path(args.out or work_dir / 'panel.png')
    try:
        config = read_config(args.config, args.cfg_options)
        run = RunContents(config, work_dir)
        panel = RunPanel(run, args.bg_thr)
        page = None if args.html is None else RunPage(run)
        uses = [(args.num_images, panel.add)]
        if page is not None:
            uses.append((args.html_images, page.add))
        failed = for_photos(run, uses)
        write_picture(out, panel.draw())
        print(f'picture: {out}')
        if page is not None:
            html = work_dir / 'report.html' if args.html == Path(
            ) else args.html
            page.write(html)
            print(f'page: {html}')
        print_scores(run)
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    for text in failed:
        print(f'error: not drawn: {text}', file=sys.stderr)
    return int(bool(failed))


if __name__ == '__main__':
    sys.exit(main())
