"""What a stage that writes labels, or scores maps, sets itself."""
from collections.abc import Sequence
from typing import Any

from mmengine.config import Config

from mmlpcam.models import MAP_DEFAULTS
from .stage import Stage
from .stage_inputs import PREFIX, drop_training

_LABEL_SETS = ('test_dataloader', 'test_evaluator', 'test_cfg')


def set_up_task(cfg: Config, name: str, entry: dict,
                earlier: Sequence[Stage]) -> str:
    """Turn the config of a stage into that of its task.

    Args:
        cfg (Config): Config to change in place.
        name (str): Name of the stage.
        entry (dict): What the main config says of it.
        earlier (Sequence[Stage]): The stages before.

    Returns:
        str: The task of MMEngine's runner: 'train' or 'test'.

    Raises:
        ValueError: If there is no such task, or something that it needs is
            missing.
    """
    task, source = entry['task'], entry.get('maps')
    if task not in ('train', 'test', 'label', 'score', 'tags'):
        raise ValueError(f"stage {name!r}: `task` must be 'train', 'test', "
                         f"'label', 'score' or 'tags', but is {task!r}")
    if task == 'score' and not source:
        raise ValueError(f'stage {name!r} needs `maps`, the name of the stage '
                         'whose maps it scores')
    if source:
        if task not in ('label', 'score'):
            raise ValueError(f'stage {name!r} has `maps`, the name of the '
                             "stage whose maps it takes, but only task="
                             f"'label' and 'score' take maps, not {task!r}")
        _take_maps(cfg, name, source, earlier)
    if task == 'label':
        ignored = set(_LABEL_SETS) & set(entry)
        if ignored:
            raise ValueError(
                f'stage {name!r} writes labels and sets {sorted(ignored)} '
                'itself: change label_dataloader and label_evaluator instead')
        _write_labels(cfg, name)
    elif task == 'score':
        _score_maps(cfg, name)
    elif task == 'tags':
        _score_tags(cfg, name)
    return 'train' if task == 'train' else 'test'


def _take_maps(cfg: Config, name: str, source: str,
               earlier: Sequence[Stage]) -> None:
    """Replace the model by the maps that an earlier stage stores."""
    makers = {stage.name: stage for stage in earlier if stage.writes_masks}
    if source not in makers:
        raise ValueError(
            f'stage {name!r} takes the maps of {source!r}, which must be one '
            f"of the earlier stages with task='label': {list(makers)}")
    writer = makers[source].cfg.test_evaluator
    if not writer.get('save_maps'):
        raise ValueError(
            f'stage {name!r} takes the maps of stage {source!r}, which stores '
            f'none: set stages.{source}.label_evaluator.save_maps=True, or '
            f'leave the stage out: stages.{name}=None')
    test_cfg = cfg.get('model', {}).get('test_cfg') or {}
    drop_training(cfg)
    cfg.load_from = cfg.data_preprocessor = None
    cfg.model = dict(
        type='StoredMaps',
        map_dir=f'{PREFIX}{source}/maps',
        extra_map_dirs={
            kind: f'{PREFIX}{source}/extra_maps/{kind}'
            for kind in writer.get('extra_map_types', ())
        },
        test_cfg={
            key: value
            for key, value in test_cfg.items() if key == 'bg_thr'
        })
    # a model without parameters, which DistributedDataParallel refuses
    cfg.model_wrapper_cfg = dict(type='MMSeparateDistributedDataParallel')


def _write_labels(cfg: Config, name: str) -> None:
    """Turn the test of a config into one that writes labels."""
    if 'label_dataloader' not in cfg:
        raise ValueError(f'the config of stage {name!r} has no '
                         "`label_dataloader`, which task='label' needs")
    cfg.test_dataloader = cfg.label_dataloader
    writer: dict[str, Any] = dict(
        type='PseudoLabelWriter',
        out_dir=f'{PREFIX}{name}',
        **cfg.get('label_evaluator', {}))
    if writer.get('save_maps'):
        writer.setdefault('extra_map_types', _extra_map_types(cfg))
    cfg.test_evaluator = writer
    cfg.test_cfg = dict(type='PseudoLabelLoop')


def _extra_map_types(cfg: Config) -> list[str]:
    """Return the maps that a model makes beside those of the mask."""
    test_cfg = {**MAP_DEFAULTS, **(cfg.model.get('test_cfg') or {})}
    kinds = dict.fromkeys(test_cfg['extra_map_types'])
    return [kind for kind in kinds if kind != test_cfg['map_type']]


def _score_maps(cfg: Config, name: str) -> None:
    """Turn the test of a config into one that scores stored maps."""
    for key in ('test_dataloader', 'test_evaluator'):
        if not cfg.get(key):
            raise ValueError(
                f'the config of stage {name!r} has no `{key}`, which '
                "task='score' needs: where there are no true masks, leave "
                f'the stage out: stages.{name}=None')
    cfg.test_cfg = dict(type='TestLoop')
    metrics = cfg.test_evaluator
    for metric in [metrics] if isinstance(metrics, dict) else metrics:
        if metric['type'] == 'CAMIoUMetric' and not metric.get('out_file'):
            metric['out_file'] = f'{PREFIX}{name}/scores.json'


def _score_tags(cfg: Config, name: str) -> None:
    """Turn the test of a config into one that scores image labels."""
    if not cfg.get('tag_dataloader'):
        raise ValueError(
            f'the config of stage {name!r} has no `tag_dataloader`, which '
            "task='tags' needs: where no photos are kept back, leave the "
            f'stage out: stages.{name}=None')
    cfg.test_dataloader = cfg.tag_dataloader
    cfg.test_evaluator = dict(
        type='ImageLabelMetric',
        out_file=f'{PREFIX}{name}/tag_scores.json',
        **cfg.get('tag_evaluator', {}))
    cfg.test_cfg = dict(type='ImageLabelLoop')
