"""Masks of photos, from file to file: the package against a plain loop.

The plain loop takes one photo at a time as the official code does: read it,
resize it to each scale, run image and mirror image, take the cosine to each
prototype in turn, fuse, write the maps with NumPy and the mask with Pillow.
The package runs the label stage of a config, for CAM and for LPCAM. Weights
and prototypes are random: times do not depend on them.
"""
import argparse
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner
from mmseg.models.segmentors import EncoderDecoder
from PIL import Image
from torch import Tensor

from mmlpcam.models import MapSettings, find_prototype_head
from mmlpcam.models.map_inference import rescale
from mmlpcam.utils.masks import read_index_mask
from .common import Comparison, time_in_turns

HALF = 'LPCAM, half precision'
WAYS = {'CAM': 'cam', 'LPCAM': 'lpcam', HALF: 'lpcam'}
SIZES = [(375, 500), (500, 375), (333, 500), (500, 334)]


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what all subjects can vary that run a network.

    Args:
        parser (argparse.ArgumentParser): Parser of the subject.
    """
    parser.add_argument(
        '--config',
        default='configs/lpcam/cam_m-v2_voc-animals.py',
        help='classifier')
    parser.add_argument('--num-photos', type=int, default=8, help='photos')


def add_photo_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what all subjects can vary that read photos.

    Args:
        parser (argparse.ArgumentParser): Parser of the subject.
    """
    add_model_arguments(parser)
    parser.add_argument(
        '--photos', type=Path, help='folder of JPEGs; else noise')
    parser.add_argument(
        '--batch-size', type=int, default=1, help='of the package')
    parser.add_argument(
        '--num-workers',
        type=int,
        default=0,
        help='processes of the package that decode photos')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this subject can vary."""
    add_photo_arguments(parser)
    parser.add_argument(
        '--num-writers',
        type=int,
        default=0,
        help='threads of the package that write files')
    parser.add_argument(
        '--fp16',
        action='store_true',
        help='LPCAM in half precision as well (bfloat16 on a CPU)')


def run(args: argparse.Namespace) -> list[Comparison]:
    """Measure."""
    with tempfile.TemporaryDirectory() as folder:
        return [_compare(args, Path(folder))]


def _compare(args: argparse.Namespace, folder: Path) -> Comparison:
    photos = copy_photos(args, folder / 'photos')
    runners = {
        way:
        label_runner(args, folder, kind, photos, way == HALF, args.num_writers)
        for way, kind in WAYS.items() if way != HALF or args.fp16
    }
    model = runners['LPCAM'].model
    plain = folder / 'plain'

    def label(way: str) -> None:
        shutil.rmtree(_label_dir(runners[way]), ignore_errors=True)
        runners[way].test_loop.run()

    def agreement(one: Path, other: Path) -> float:
        return 100 * np.mean([(read_index_mask(
            one / f'{path.stem}.png') == read_index_mask(
                other / f'{path.stem}.png')).mean() for path in photos])

    ways: dict[str, Callable] = {
        'plain loop': lambda: _plain(model, photos, plain, args.device),
        **{
            way: partial(label, way)
            for way in runners
        }
    }
    seconds = time_in_turns(ways, args.repeats, args.device)
    masks = {way: _label_dir(runners[way]) / 'masks' for way in runners}
    notes = [
        'Pixels of the masks that agree with the plain loop: '
        f'{agreement(plain, masks["LPCAM"]):.2f} %.'
    ]
    if args.fp16:
        notes.append(
            'Those in half precision agree with those in single '
            f'precision on {agreement(masks["LPCAM"], masks[HALF]):.2f} %.')
    rate = {
        way: f'{len(photos) / np.median(times):.3g}'
        for way, times in seconds.items()
    }
    by_cam = np.median(
        [ours / cam for cam, ours in zip(seconds['CAM'], seconds['LPCAM'])])
    return Comparison(
        f'masks and maps of {len(photos)} photos, {Path(args.config).name}, '
        f'batches of {args.batch_size}', seconds, {'photos per second': rate},
        [*notes, f'LPCAM takes {by_cam:.3f} of the time of CAM.'])


def _label_dir(runner: Runner) -> Path:
    return runner.test_evaluator.metrics[0].out_dir


def copy_photos(args: argparse.Namespace, folder: Path) -> list[Path]:
    """Put photos into a folder of their own.

    Args:
        args (argparse.Namespace): Arguments of the subject.
        folder (Path): Folder to make.

    Returns:
        list[Path]: The photos.

    Raises:
        FileNotFoundError: If there are none.
    """
    folder.mkdir()
    if args.photos:
        found = sorted(args.photos.glob('*.jpg'))[:args.num_photos]
        if not found:
            raise FileNotFoundError(f'no *.jpg in {args.photos}')
        for path in found:
            shutil.copy(path, folder)
    else:
        rng = np.random.default_rng(0)
        for i in range(args.num_photos):
            small = rng.integers(0, 256, (8, 8, 3), np.uint8)
            size = SIZES[i % len(SIZES)]
            photo = cv2.resize(
                small, size[::-1], interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(folder / f'{i:04}.jpg'), photo)
    return sorted(folder.glob('*.jpg'))


def present_classes(number: int) -> list[int]:
    """Return two classes for each photo, more than most have.

    Args:
        number (int): Number of classes.

    Returns:
        list[int]: 0-based foreground classes.
    """
    return list(range(min(2, number)))


def model_cfg(config: str, kind: str) -> ConfigDict:
    """Return the model of a classifier, without weights from files.

    Args:
        config (str): Config file.
        kind (str): Map type.

    Returns:
        ConfigDict: Config of the model.
    """
    model = Config.fromfile(config).model
    model.test_cfg = dict(map_type=kind, bg_thr=0.3)
    for part in ('backbone', 'neck', 'decode_head'):
        if part in model:
            model[part].pop('init_cfg', None)
    model.pop('pretrained', None)
    return model


def randomize(model: EncoderDecoder) -> None:
    """Give a classifier random weights and prototypes.

    Args:
        model (EncoderDecoder): The classifier, changed in place.
    """
    torch.manual_seed(0)
    model.init_weights()
    head = find_prototype_head(model)
    for weight in head.parameters():  # large ones: maps exist
        torch.nn.init.normal_(weight)
    number, clusters, channels = head.bank.class_prototypes.shape
    for label in range(number):
        head.bank.set_class(label, torch.rand(clusters, channels),
                            torch.rand(clusters, channels))


def label_runner(args: argparse.Namespace,
                 folder: Path,
                 kind: str,
                 photos: list[Path],
                 fp16: bool = False,
                 num_writers: int = 0) -> Runner:
    """Build the label stage of a classifier.

    Args:
        args (argparse.Namespace): Arguments of the subject.
        folder (Path): Existing folder for lists and results.
        kind (str): Map type.
        photos (list[Path]): Photos, in one folder.
        fp16 (bool): Whether it runs in half precision. Defaults to False.
        num_writers (int): Threads that write files. Defaults to 0: none.

    Returns:
        Runner: A runner whose test loop writes labels below ``folder``.
    """
    work_dir = folder / (f'{kind}_fp16' if fp16 else kind)
    model = model_cfg(args.config, kind)
    names = ['background'] + [
        f'class {i}' for i in range(1, model.decode_head.num_classes)
    ]
    (folder / 'photos.txt').write_text('\n'.join(p.stem for p in photos))
    (folder / 'tags.csv').write_text('\n'.join([
        'photo;tags', *(f'{path.stem};' +
                        ','.join(names[1 + label]
                                 for label in present_classes(len(names) - 1))
                        for path in photos)
    ]))
    dataset = dict(
        type='ImageLabelDataset',
        labels=dict(type='CSVLabels', csv_file=str(folder / 'tags.csv')),
        dataset=dict(
            type='BaseSegDataset',
            metainfo=dict(
                classes=names, palette=[[i] * 3 for i in range(len(names))]),
            data_prefix=dict(img_path=str(folder / 'photos')),
            ann_file=str(folder / 'photos.txt'),
            test_mode=True,
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='PackSegInputs')
            ]))
    loader = dict(
        batch_size=args.batch_size,
        num_workers=args.num_workers,
        sampler=dict(type='DefaultSampler', shuffle=False),
        batch_sampler=dict(type='SameSizeBatchSampler'),
        dataset=dataset)
    built = Runner(
        model,
        str(work_dir),
        test_dataloader=loader,
        test_evaluator=dict(
            type='PseudoLabelWriter',
            out_dir=str(work_dir / 'labels'),
            save_maps=True,
            num_writers=num_writers),
        test_cfg=dict(type='PseudoLabelLoop', fp16=fp16),
        default_hooks=dict(logger=None, checkpoint=None),
        default_scope='mmseg',
        log_level='ERROR',
        experiment_name=f'benchmark_{work_dir.name}',
        cfg=dict(default_scope='mmseg'))
    randomize(built.model)
    return built


@torch.no_grad()
def _plain(model: EncoderDecoder, photos: list[Path], out_dir: Path,
           device: str) -> None:
    """Label photos one by one, as the equations of the paper say."""
    model.eval()
    out_dir.mkdir(exist_ok=True)
    head = find_prototype_head(model)
    settings = head.settings
    processor = model.data_preprocessor
    for path in photos:
        image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None].to(device)
        pixels = (pixels.float() - processor.mean) / processor.std
        size = tuple(pixels.shape[-2:])
        labels = present_classes(head.num_classes - 1)
        full = sum(
            _plain_maps(model, rescale(pixels, scale), labels, settings, size)
            for scale in settings.scales)
        full /= full.amax((1, 2), keepdim=True) + 1e-5
        maps = full.cpu().numpy()
        np.save(out_dir / f'{path.stem}.npy', dict(keys=labels, maps=maps))
        planes = np.concatenate([np.full_like(maps[:1], 0.3), maps])
        values = np.array([0, *(label + 1 for label in labels)])
        mask = values[planes.argmax(0)].astype(np.uint8)
        Image.fromarray(mask).save(out_dir / f'{path.stem}.png')


def _plain_maps(model: EncoderDecoder, images: Tensor, labels: list[int],
                settings: MapSettings, size: tuple[int, int]) -> Tensor:
    """Maps (n, H, W) of one scale."""
    head = find_prototype_head(model)
    both = torch.cat([images, images.flip(-1)])
    image, mirrored = head.local_features(model.extract_feat(both))
    feats = (image + mirrored.flip(-1)) / 2
    maps = []
    for label in labels:
        means = []
        for side in ('class', 'context'):
            protos = getattr(head.bank, f'{side}_prototypes')[label]
            valid = getattr(head.bank, f'{side}_valid')[label]
            means.append(
                torch.stack([
                    F.cosine_similarity(feats, proto[:, None, None], dim=0)
                    for proto in protos[valid]
                ]).mean(0))
        maps.append((means[0] - means[1]).relu())
    extent = settings.extent(size)
    return F.interpolate(
        torch.stack(maps)[None], extent, mode='bilinear',
        align_corners=False)[0, :, :size[0], :size[1]]
