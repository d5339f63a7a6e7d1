"""Convert res50_cam.pth or res50_irn.pth of IRN and LPCAM.

The classifier carries no prototypes: tools/build_prototypes.py makes them. The
displacement branch of IRNet, which only masks of instances need, is left out.
"""
import argparse

from mmlpcam.converters.official_weights import convert_irn_weights
from mmlpcam.utils import read_checkpoint, weights_of, write_checkpoint


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        epilog='example: tools/model_converters/official_irn.py '
        'sess/res50_irn.pth checkpoints/irn_r50_voc.pth')
    parser.add_argument('source', help='official checkpoint')
    parser.add_argument('target', help='file to write')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    weights = weights_of(read_checkpoint(args.source), args.source)
    state_dict = convert_irn_weights(weights)
    write_checkpoint(dict(state_dict=state_dict, meta=dict()), args.target)
    print(f'{len(state_dict)} tensors written to {args.target}')


if __name__ == '__main__':
    main()
