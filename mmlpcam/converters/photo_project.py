"""The configs of a project on own photos, as text."""
import argparse
import colorsys
import json
import math
from typing import Any

from .pretrained_file import PretrainedFile

# Half of what the classifier sees on VOC, in photos: a small set is seen more
# often, within limits.
# A CPU gets through a tenth of that, from better features than from scratch.
CLASSIFIER_PHOTOS = dict(base=24_000, mobile=2_400)
CLASSIFIER_EPOCHS = dict(base=(5, 100), mobile=(8, 40), small=(20, 20))
SEGMENTOR_TRAINING = dict(
    mobile='max_epochs=20, val_interval=10',
    base='max_iters=8000, val_interval=1000',
    small='max_epochs=30, val_interval=10')
# Parts that start from a file of weights. Two ResNets take the same one: the
# default of the segmentor is a ResNetV1c, which has weights of its own.
_PART = '    {}=dict({}init_cfg=_base_.weights),\n'
CLASSIFIER_PARTS = dict(
    base=(_PART.format('backbone', ''), ),
    mobile=(_PART.format('backbone', ''), _PART.format('neck', '')),
    small=())
SEGMENTOR_BACKBONE = dict(
    base=_PART.format('backbone', "type='ResNet', "),
    mobile=_PART.format('backbone', ''),
    small='')

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
DATA_WITH_TAG_SCORES = """
# Photos of train.txt whose tags score the classifier, which does not learn
# them. They get masks like all others.
learnt_photos = dict(photos, ann_file='{{{{ fileDirname }}}}/tags_train.txt')
tag_photos = dict(photos, ann_file='{{{{ fileDirname }}}}/tags_val.txt')
"""
DATA_WITH_WEIGHTS = """
# The weights that training starts from, and how they want photos normalised.
weights = {weights!r}
pixels = {pixels!r}
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
{weights}    decode_head=dict(
        num_classes=_base_.num_classes, num_clusters=num_clusters))
train_cfg = dict(max_epochs=max_epochs)
train_dataloader = dict(
    dataset=dict(labels=_base_.image_labels, dataset=_base_.{learnt}))
{tags}label_dataloader = dict(
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
CLASSIFIER_TAGS = """\
tag_dataloader = dict(
    dataset=dict(labels=_base_.image_labels, dataset=_base_.tag_photos))
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
{threshold}
# ----------------------------------------------------------------------------

stage_configs = dict(classifier='{{{{ fileDirname }}}}/classifier.py')
stages = dict(
    {stages})
model = dict(
{weights}{heads})
train_dataloader = dict(
    dataset=dict({true_masks}dataset=_base_.photos))
{test}
"""
# By whether there are masks, with which a number can be chosen.
THRESHOLD = {
    True:
    'bg_thr = 0.4  # score of the background: a higher one makes masks '
    'smaller',
    False:
    "# score of the background: 'otsu' is that of each photo, by its maps\n"
    '# and those of the others; a number in [0, 1] is one for all, and a\n'
    '# higher one makes masks smaller\n'
    "bg_thr = 'otsu'"
}
FIRST_LOOK = """\
# Tags in, masks out within minutes, without training for long.
_base_ = [
    __import__('mmlpcam').config_path('_base_/photos/first_look_{size}.py'),
    './data.py'
]
{imports}
# ---- often changed ---------------------------------------------------------
bg_thr = 0.2  # score of the background: a higher one makes masks smaller
# ----------------------------------------------------------------------------

stage_configs = dict(classifier='{{{{ fileDirname }}}}/classifier.py')
stages = dict(
    {stages})
"""
SEGMENTOR_TEST = """\
val_dataloader = dict(dataset=_base_.val_photos)
test_dataloader = val_dataloader"""
NO_TEST = '{0}_dataloader = {0}_evaluator = {0}_cfg = None  # no masks'


def make_palette(num_classes: int) -> list[list[int]]:
    """Return distinct colours: hues around the circle, bright and darker.

    Args:
        num_classes (int): Number of classes with the background.

    Returns:
        list[list[int]]: Colour [r, g, b] of each mask value; black for the
        background.
    """
    colors = [[0, 0, 0]]
    for index in range(num_classes - 1):
        rgb = colorsys.hsv_to_rgb(index / (num_classes - 1), 0.85,
                                  (1., 0.7)[index % 2])
        colors.append([round(255 * value) for value in rgb])
    return colors


def classifier_epochs(size: str, num_photos: int) -> int:
    """Return how long to train, for about the same number of steps.

    Args:
        size (str): 'base', 'mobile' or 'small'.
        num_photos (int): Number of photos to train on.

    Returns:
        int: Epochs.
    """
    low, high = CLASSIFIER_EPOCHS[size]
    wanted = math.ceil(CLASSIFIER_PHOTOS.get(size, 0) / num_photos)
    return min(max(wanted, low), high)


def config_files(args: argparse.Namespace, label_cfg: dict[str, Any],
                 classes: list[str], palette: list[list[int]], num_photos: int,
                 scores_tags: bool,
                 pretrained: PretrainedFile | None) -> dict[str, str]:
    """Return the text of each config by its name.

    Args:
        args (argparse.Namespace): Options of ``tools/new_project.py``.
        label_cfg (dict[str, Any]): Config of the label source.
        classes (list[str]): Classes without the background.
        palette (list[list[int]]): Colour [r, g, b] of each mask value.
        num_photos (int): Number of photos to train on.
        scores_tags (bool): Whether there are photos to score tags with.
        pretrained (PretrainedFile | None): Weights of a file to start from.

    Returns:
        dict[str, str]: Text by file name.
    """
    labels = ', '.join(f'{key}={value!r}' for key, value in label_cfg.items())
    imports = ''
    if args.custom_imports:
        modules = ['mmlpcam', *args.custom_imports]
        imports = f'custom_imports = dict(imports={modules!r})\n'
    data = DATA
    if scores_tags:
        data += DATA_WITH_TAG_SCORES
    if pretrained:
        data += DATA_WITH_WEIGHTS
    if args.masks:
        data += DATA_WITH_MASKS
    heads = ['decode_head'] + ['auxiliary_head'] * (args.size == 'base')
    stages = ['tags=_base_.tag_stage'] if scores_tags else []
    stages.append('labels=dict(model=dict(test_cfg=dict(bg_thr=bg_thr' +
                  ('' if args.masks else ', extra_map_types=()') + ')))')
    if not args.masks:
        stages.append('seed=None')  # unscored
    unscored = dict(
        classifier=NO_TEST.format('test'),
        segmentor='\n'.join(map(NO_TEST.format, ('val', 'test'))))
    files = {
        'data.py':
        data.format(
            labels=labels,
            photos=str(args.photos.absolute()),
            weights=pretrained and pretrained.init_cfg,
            pixels=pretrained and pretrained.pixels,
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
            weights=_weights(pretrained, *CLASSIFIER_PARTS[args.size]),
            learnt='learnt_photos' if scores_tags else 'photos',
            tags=CLASSIFIER_TAGS if scores_tags else '',
            test=CLASSIFIER_TEST if args.masks else unscored['classifier']),
        'segmentor.py':
        SEGMENTOR.format(
            size=args.size,
            imports=imports,
            training=SEGMENTOR_TRAINING[args.size],
            threshold=THRESHOLD[bool(args.masks)],
            weights=_weights(pretrained, SEGMENTOR_BACKBONE[args.size]),
            stages=',\n    '.join(stages),
            heads=',\n'.join(f'    {head}=dict(num_classes=_base_.num_classes)'
                             for head in heads),
            true_masks='true_label_dir=_base_.mask_dir, '
            if args.train_on_masks else '',
            test=SEGMENTOR_TEST if args.masks else unscored['segmentor'])
    }
    if args.size != 'small':  # whose features are from scratch
        files['first_look.py'] = FIRST_LOOK.format(
            size=args.size, imports=imports, stages=',\n    '.join(stages))
    return files


def _weights(pretrained: PretrainedFile | None, *parts: str) -> str:
    """Return the lines of a model that starts from a file."""
    if pretrained is None:
        return ''
    return '    data_preprocessor=_base_.pixels,\n' + ''.join(parts)
