"""The configs of a project on own photos, as text."""
import argparse
import json
import math
from typing import Any

# Half of what the classifier sees on VOC, in photos: a small set is seen more
# often, within limits.
CLASSIFIER_PHOTOS = 24_000
CLASSIFIER_EPOCHS = (5, 100)
SMALL_CLASSIFIER_EPOCHS = 20
SEGMENTOR_TRAINING = dict(
    base='max_iters=8000, val_interval=1000',
    small='max_epochs=30, val_interval=10')

DATA = """\
# The data of the project: edit it when files move.
# Classes and colours are in classes.json, the background first.
class_info = __import__('mmlpcam').read_classes(
    '{{{{ fileDirname }}}}/classes.json')
num_classes = len(class_info['classes'])
photo_dir = {photos!r}
image_labels = dict({labels})
photos = dict(
    type='PhotoFolderDataset',
    data_prefix=dict(img_path=photo_dir),
    ann_file='{{{{ fileDirname }}}}/train.txt',
    metainfo=class_info)
"""
DATA_WITH_MASKS = """
# Photos with a true mask: those in train.txt score the maps, those in val.txt
# the segmentor, which never trains on them.
mask_dir = {masks!r}
scored_photos = dict(
    photos,
    data_prefix=dict(img_path=photo_dir, seg_map_path=mask_dir),
    only_masked=True)
val_photos = dict(scored_photos, ann_file='{{{{ fileDirname }}}}/val.txt')
"""
CLASSIFIER = """\
# Learns the tags, and clusters its features into prototypes.
_base_ = [
    __import__('mmlpcam').config_path('_base_/photos/classifier_{size}.py'),
    './data.py'
]
{imports}
# ---- often changed ---------------------------------------------------------
max_epochs = {max_epochs}
num_clusters = 12  # K, for class and context prototypes each
fg_thr = 0.25  # tau, splits features by their CAM
mu_f = 0.5  # class prototypes score above it
mu_b = 0.5  # context prototypes score below it ...
mu_b_low = 0.  # ... and above it
# ----------------------------------------------------------------------------

model = dict(
    decode_head=dict(
        num_classes=_base_.num_classes, num_clusters=num_clusters))
train_cfg = dict(max_epochs=max_epochs)
train_dataloader = dict(
    dataset=dict(labels=_base_.image_labels, dataset=_base_.photos))
label_dataloader = dict(
    dataset=dict(labels=_base_.image_labels, dataset=_base_.photos))
{test}
custom_hooks = [
    *_base_.custom_hooks,
    dict(
        _base_.prototypes,
        dataset=dict(
            type='ImageLabelDataset',
            labels=_base_.image_labels,
            dataset=dict(
                _base_.photos, test_mode=True, pipeline=_base_.test_pipeline)),
        fg_thr=fg_thr,
        mu_f=mu_f,
        mu_b=mu_b,
        mu_b_low=mu_b_low)
]
"""
CLASSIFIER_TEST = """\
test_dataloader = dict(
    dataset=dict(labels=_base_.image_labels, dataset=_base_.scored_photos))"""
SEGMENTOR = """\
# Tags in, trained segmentor out: the config to train with.
_base_ = [
    __import__('mmlpcam').config_path('_base_/photos/segmentor_{size}.py'),
    './data.py'
]
{imports}
# ---- often changed ---------------------------------------------------------
train_cfg = dict({training})
bg_thr = 0.4  # score of the background: a higher one makes masks smaller
# ----------------------------------------------------------------------------

stage_configs = dict(classifier='{{{{ fileDirname }}}}/classifier.py')
stages = dict(
    labels=dict(model=dict(test_cfg=dict(bg_thr=bg_thr{no_extra}))){no_seed})
model = dict(
{heads})
train_dataloader = dict(
    dataset=dict({true_masks}dataset=_base_.photos))
{test}
"""
SEGMENTOR_TEST = """\
val_dataloader = dict(dataset=_base_.val_photos)
test_dataloader = val_dataloader"""
NO_TEST = '{0}_dataloader = {0}_evaluator = {0}_cfg = None  # no masks'


def classifier_epochs(size: str, num_photos: int) -> int:
    """Return how long to train, for about the same number of steps."""
    if size == 'small':
        return SMALL_CLASSIFIER_EPOCHS
    low, high = CLASSIFIER_EPOCHS
    return min(max(math.ceil(CLASSIFIER_PHOTOS / num_photos), low), high)


def config_files(args: argparse.Namespace, label_cfg: dict[str, Any],
                 classes: list[str], palette: list[list[int]],
                 num_photos: int) -> dict[str, str]:
    """Return the text of each config by its name.

    Args:
        args (argparse.Namespace): Options of ``tools/new_project.py``.
        label_cfg (dict[str, Any]): Config of the label source.
        classes (list[str]): Classes without the background.
        palette (list[list[int]]): Colour [r, g, b] of each mask value.
        num_photos (int): Number of photos to train on.

    Returns:
        dict[str, str]: Text by file name.
    """
    labels = ', '.join(f'{key}={value!r}' for key, value in label_cfg.items())
    imports = ''
    if args.custom_imports:
        modules = ['mmlpcam', *args.custom_imports]
        imports = f'custom_imports = dict(imports={modules!r})\n'
    data = DATA + (DATA_WITH_MASKS if args.masks else '')
    heads = ['decode_head'] + ['auxiliary_head'] * (args.size == 'base')
    unscored = dict(
        classifier=NO_TEST.format('test'),
        segmentor='\n'.join(map(NO_TEST.format, ('val', 'test'))))
    return {
        'data.py':
        data.format(
            labels=labels,
            photos=str(args.photos.absolute()),
            masks=args.masks and str(args.masks.absolute())),
        'classes.json':
        json.dumps(
            dict(classes=['background', *classes], palette=palette),
            ensure_ascii=False,
            indent=1) + '\n',
        'classifier.py':
        CLASSIFIER.format(
            size=args.size,
            imports=imports,
            max_epochs=classifier_epochs(args.size, num_photos),
            test=CLASSIFIER_TEST if args.masks else unscored['classifier']),
        'segmentor.py':
        SEGMENTOR.format(
            size=args.size,
            imports=imports,
            training=SEGMENTOR_TRAINING[args.size],
            no_seed='' if args.masks else ',\n    seed=None',  # unscored
            no_extra='' if args.masks else ', extra_map_types=()',
            heads=',\n'.join(f'    {head}=dict(num_classes=_base_.num_classes)'
                             for head in heads),
            true_masks='true_label_dir=_base_.mask_dir, '
            if args.train_on_masks else '',
            test=SEGMENTOR_TEST if args.masks else unscored['segmentor'])
    }
