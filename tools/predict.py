"""Predict the masks of a folder of photos, which need no tags."""
import argparse
import sys
from pathlib import Path

from mmengine.config import Config
from mmengine.device import get_device
from mmseg.apis import inference_model

from mmlpcam.datasets import PhotoFolderDataset, SegDatasetWrapper
from mmlpcam.engine import init_trained_model, last_checkpoint
from mmlpcam.utils.masks import write_index_mask
from mmlpcam.utils.parallel import track_on_terminal
from mmlpcam.utils.photos import read_photo, write_picture
from mmlpcam.visualization import draw_mask


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='example: tools/predict.py my_project/segmentor.py '
        'runs/first/segmentor new_photos predictions')
    parser.add_argument(
        'config', help='config file of a segmentor, with a `test_pipeline`')
    parser.add_argument(
        'checkpoint',
        type=Path,
        help='checkpoint file, or the folder of a run: its last checkpoint')
    parser.add_argument('photos', help='folder of the photos')
    parser.add_argument(
        'out',
        type=Path,
        help='folder to write to: masks/<photo>.png, class indices with '
        'palette, and pictures/<photo>.jpg')
    parser.add_argument(
        '--device',
        default=get_device(),
        help='such as cpu or cuda:0 (default: %(default)s)')
    return parser.parse_args()


def find_checkpoint(path: Path) -> str:
    found = last_checkpoint(path) if path.is_dir() else str(path)
    if found is None:
        raise FileNotFoundError(
            f'{path} holds no last_checkpoint: give the folder of a stage '
            'that has trained, such as <work dir>/segmentor, or a file')
    return found


def predict(args: argparse.Namespace) -> int:
    """Write masks and pictures and return how many photos failed."""
    photos = SegDatasetWrapper(
        PhotoFolderDataset(dict(img_path=args.photos)), check_files=False)
    cfg = Config.fromfile(args.config)
    if 'test_pipeline' not in cfg:
        raise ValueError(f'{args.config} has no `test_pipeline`, which says '
                         'how photos are loaded')
    checkpoint = find_checkpoint(args.checkpoint)
    model = init_trained_model(cfg, checkpoint, args.device)
    if getattr(model, 'dataset_meta', None) is None:
        raise ValueError(f'{checkpoint} does not say for what classes it was '
                         'trained (meta.dataset_meta): give one that a '
                         'training has saved')
    classes, palette = (
        model.dataset_meta[key] for key in ('classes', 'palette'))
    print(
        'colours:', ', '.join(f'{name} #{bytes(color).hex()}'
                              for name, color in zip(classes, palette)))
    failed: dict[str, Exception] = {}
    for index in track_on_terminal((range(len(photos)), len(photos))):
        info = photos.get_data_info(index)
        name = info['image_id']
        try:
            photo = read_photo(info['img_path'])
            sample = inference_model(model, photo)
        # one bad photo, or one too large for the device, ends no run
        except (OSError, ValueError, RuntimeError) as error:
            failed[info['img_path']] = error
            continue
        mask = sample.pred_sem_seg.data[0].cpu().numpy()
        write_index_mask(args.out / 'masks' / f'{name}.png', mask, palette)
        write_picture(args.out / 'pictures' / f'{name}.jpg',
                      draw_mask(photo[..., ::-1], mask, palette))
    for path, error in failed.items():
        print(f'error: no mask of {path}: {error}', file=sys.stderr)
    print(f'{len(photos) - len(failed)} of {len(photos)} masks written to '
          f'{args.out / "masks"}, pictures to {args.out / "pictures"}')
    return len(failed)


def main() -> int:
    args = parse_args()
    try:
        return int(predict(args) > 0)
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main())
