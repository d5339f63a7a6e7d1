"""Features for prototypes, from photo files, and what stands beside them.

All features of photos are gathered per class and side, as they are clustered.
The plain loop runs the photo as it is for its features, and then all scales
and the mirror images for its CAM, one photo at a time. The label stage of the
same photos tells what a pass takes in any case; joint training refreshes its
masks in one more.
"""
import argparse
import shutil
import tempfile
from pathlib import Path

import cv2
import torch
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import DATASETS

from mmlpcam.engine import LabelRefresher, PrototypeBuilder
from mmlpcam.engine.prototype_sampling import image_views
from mmlpcam.models import fast_inference, find_prototype_head
from mmlpcam.models.map_inference import rescale
from mmlpcam.ops import full_size_maps, normalize_maps, split_features
from mmlpcam.structures import find_map_type
from . import labels
from .common import Comparison, time_in_turns


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this subject can vary."""
    labels.add_photo_arguments(parser)


def run(args: argparse.Namespace) -> list[Comparison]:
    """Measure."""
    with tempfile.TemporaryDirectory() as name:
        return [_compare(args, Path(name))]


@torch.no_grad()
def _compare(args: argparse.Namespace, folder: Path) -> Comparison:
    photos = labels.copy_photos(args, folder / 'photos')
    runner = labels.label_runner(args, folder, 'cam', photos)
    model = runner.model
    loop = runner.test_loop
    dataset_cfg = loop._dataloader_cfg['dataset']
    builder = PrototypeBuilder(
        dataset_cfg,
        num_workers=args.num_workers,
        batch_size=args.batch_size,
        max_features_per_class=None)
    dataset = builder.prepare()
    head = find_prototype_head(model)
    refresher = _refresher(dataset_cfg, args, folder)
    repeats = builder.draw(
        head,
        [dataset.get_data_info(i)['img_labels'] for i in range(len(dataset))])
    found = {}

    def label() -> None:
        shutil.rmtree(folder / 'cam' / 'labels', ignore_errors=True)
        loop.run()

    def refresh() -> None:
        refresher.refresh(model, 'epoch_1', builder.map_settings(head))

    def collect() -> None:
        model.eval()
        with fast_inference(model):
            found['ours'] = builder.collect(
                image_views(model, builder.loader(dataset,
                                                  range(len(dataset))),
                            builder.map_settings(head)), repeats)

    def plain() -> None:
        model.eval()
        found['plain'] = _plain(model, photos, args.device, builder.fg_thr)

    seconds = time_in_turns(
        {
            'plain loop': plain,
            'label stage': label,
            'refreshed masks': refresh,
            'prototypes': collect
        }, args.repeats, args.device)
    ours = {key: len(points.feats) for key, points in found['ours'].items()}
    moved = sum(
        abs(number - ours[key]) for key, number in found['plain'].items())
    return Comparison(
        f'features of {len(photos)} photos, {Path(args.config).name}, '
        f'batches of {args.batch_size}',
        seconds,
        notes=[
            f'{sum(ours.values())} features; {moved} more or less on a side '
            'than in the plain loop.'
        ])


def _refresher(dataset: dict, args: argparse.Namespace,
               folder: Path) -> LabelRefresher:
    """What makes masks of the photos anew, for a training set of them."""
    refresher = LabelRefresher(
        dataset,
        map_type='cam',
        num_workers=args.num_workers,
        batch_size=args.batch_size)
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadPseudoLabel'),
        dict(type='PackSegInputs')
    ]
    refresher.connect(
        DATASETS.build(
            dict(
                type='PseudoLabelDataset',
                label_dir=None,
                dataset=dict(dataset['dataset'], pipeline=pipeline))),
        str(folder / 'joint'))
    return refresher


def _plain(model: EncoderDecoder, photos: list[Path], device: str,
           fg_thr: float) -> dict[tuple[int, str], int]:
    """Gather features photo by photo, and return their numbers."""
    head = find_prototype_head(model)
    settings, processor = head.settings, model.data_preprocessor
    kind = find_map_type(head.split_map_type)
    found: dict[tuple[int, str], list] = {}
    for path in photos:
        image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None].to(device)
        pixels = (pixels.float() - processor.mean) / processor.std
        size = tuple(pixels.shape[-2:])
        feats = head.local_features(model.extract_feat(pixels))[0]
        present = labels.present_classes(head.num_classes - 1)
        full = 0
        for scale in settings.scales:
            scaled = rescale(pixels, scale)
            levels = model.extract_feat(torch.cat([scaled, scaled.flip(-1)]))
            maps = head.maps(levels, kind.name, present, flip=True)
            full = full + full_size_maps(maps, size, settings.extent(size))
        for cam, each in zip(
                normalize_maps(full, kind.normalization, kind.eps)[0],
                present):
            sides = split_features(feats, cam, fg_thr)
            for side, positions in zip(('class', 'context'), sides):
                found.setdefault(
                    (each, side),
                    []).append(feats.flatten(1).t()[positions].cpu())
    return {key: sum(map(len, parts)) for key, parts in found.items()}
