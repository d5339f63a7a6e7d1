"""Time what mmlpcam computes against the plain way to compute it.

All ways of a subject run in turns in one call, and what they compute is
compared. The table goes to the terminal, and to files if asked for.
"""
import argparse
import json
from pathlib import Path

import torch
from benchmarks import (crf, imports, kmeans, labels, maps, processes,
                        prototypes, sizes, walk)
from benchmarks.common import as_dict, machine

SUBJECTS = dict(
    crf=crf,
    imports=imports,
    kmeans=kmeans,
    labels=labels,
    maps=maps,
    processes=processes,
    prototypes=prototypes,
    sizes=sizes,
    walk=walk)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    subparsers = parser.add_subparsers(required=True)
    for name, subject in SUBJECTS.items():
        sub = subparsers.add_parser(
            name,
            help=subject.__doc__.partition('\n')[0],
            description=subject.__doc__,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        sub.set_defaults(run=subject.run)
        sub.add_argument('--repeats', type=int, default=5, help='rounds')
        sub.add_argument('--device', default='cpu', help='torch device')
        sub.add_argument('--json', type=Path, help='file for all figures')
        sub.add_argument('--markdown', type=Path, help='file for the tables')
        subject.add_arguments(sub)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    torch.manual_seed(0)
    comparisons = args.run(args)
    where = ', '.join(f'{k} {v}' for k, v in machine(args.device).items())
    text = '\n'.join([where, '', *(each.markdown() for each in comparisons)])
    print(text)
    if args.markdown:
        args.markdown.write_text(text)
    if args.json:
        args.json.write_text(
            json.dumps(as_dict(comparisons, args.device), indent=1))


if __name__ == '__main__':
    main()
