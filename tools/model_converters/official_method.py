"""Convert official checkpoints of IRN, AMN, MCTformer (V1, V2) and DeiT.

They carry no prototypes: tools/build_prototypes.py makes them.
"""
import argparse

from mmlpcam.converters.official_weights import CONVERTERS
from mmlpcam.utils import read_checkpoint, weights_of, write_checkpoint


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        epilog='example: tools/model_converters/official_method.py mctformer '
        'deit_small_patch16_224-cd65a155.pth data/weights/deit_small.pth')
    parser.add_argument('method', choices=CONVERTERS, help='what it is of')
    parser.add_argument('source', help='official checkpoint')
    parser.add_argument('target', help='file to write')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    checkpoint = read_checkpoint(args.source)
    weights = weights_of(checkpoint.get('model', checkpoint), args.source)
    state_dict = CONVERTERS[args.method](weights)
    write_checkpoint(dict(state_dict=state_dict, meta=dict()), args.target)
    print(f'{len(state_dict)} tensors written to {args.target}')


if __name__ == '__main__':
    main()
