"""What a run has left behind: maps, masks and predictions of its photos."""
import copy
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmseg.apis import inference_model
from mmseg.registry import DATASETS
from mmseg.structures import SegDataSample
from torch import nn
from torch.utils.data import Dataset

from mmlpcam.engine import (ClusterTable, Stage, StagedRunner,
                            init_trained_model, last_checkpoint, read_clusters)
from mmlpcam.evaluation import read_bg_thr
from mmlpcam.models import (CAMSegmentor, PrototypeHead, find_map_head,
                            set_map_prediction)
from mmlpcam.structures import ActivationMaps, find_map_type
from mmlpcam.utils import read_json
from mmlpcam.utils.masks import read_index_mask
from mmlpcam.utils.parallel import track_on_terminal
from mmlpcam.utils.photos import read_photo


class PhotoContents(NamedTuple):
    """What a run has made of a photo.

    Attributes:
        index (int): Index in the photos of the run.
        name (str): Image id.
        image (np.ndarray): Pixels (H, W, 3) uint8, RGB.
        maps (:obj:`SegDataSample`): Maps, see
            :func:`~mmlpcam.models.map_inference.set_map_prediction`.
        made (dict[str, np.ndarray]): Masks (H, W) of the finished stages, and
            that of the segmentor, by their titles.
        truth (np.ndarray, optional): The true mask.
    """
    index: int
    name: str
    image: np.ndarray
    maps: SegDataSample
    made: dict[str, np.ndarray]
    truth: np.ndarray | None


class RunContents:
    """A chain or a joint run, finished or under way.

    Args:
        config (Config): Its config.
        work_dir (Path): Its work dir.

    Attributes:
        stages (list[Stage]): Stages of a chain; of a joint run, none.
        classifier (CAMSegmentor): What makes the maps, on the CPU.
        photos (Dataset): The photos that get labels.
        kinds (list[str]): The map types to show; the last gives the masks.
        bg_thr (float | str): Score of the background in the masks of these.
        truths (dict[str, str]): True masks of the images that are scored, by
            image id.

    Raises:
        ValueError: If there is nothing to show, or not yet.
    """

    def __init__(self, config: Config, work_dir: Path) -> None:
        self.config = config
        self.work_dir = work_dir
        self.stages = stages_of(config, work_dir)
        if self.stages:
            cfg, self._maps_dir = _chain_maps(self.stages)
            segmentor_dir = Path(self.stages[-1].work_dir)
            self._made = [
                (stage.title, Path(stage.work_dir) / 'masks')
                for stage in self.stages
                if stage.writes_masks and is_finished(Path(stage.work_dir))
            ]
        else:
            cfg, self._maps_dir = _joint_maps(config, work_dir), None
            segmentor_dir = work_dir
            self._made = [('pseudo label', work_dir / 'labels/masks')]
        self._checkpoint = cfg.load_from
        self.classifier = init_trained_model(cfg, cfg.load_from, 'cpu')
        self.kinds = _shown_maps(self.classifier)
        self.bg_thr = self.classifier.test_cfg['bg_thr']
        if self._maps_dir and (self._maps_dir / 'manifest.json').is_file():
            # with the typical threshold of the set
            self.bg_thr = read_bg_thr(self._maps_dir / 'manifest.json')
        self.photos = _build_dataset(cfg.label_dataloader)
        self.truths = _true_masks(self.stages)
        self._segmentor_file = last_checkpoint(segmentor_dir)

    @property
    def classes(self) -> tuple[str, ...]:
        """tuple[str, ...]: Names of the mask values."""
        return self.photos.metainfo['classes']

    @property
    def palette(self) -> list[list[int]]:
        """list[list[int]]: Colours of the mask values."""
        return self.photos.metainfo['palette']

    @property
    def has_prototypes(self) -> bool:
        """bool: Whether the classifier has a bank that is filled."""
        head = find_map_head(self.classifier)
        return isinstance(head, PrototypeHead) and head.bank.is_built

    @property
    def clusters(self) -> ClusterTable | None:
        """ClusterTable | None: What is known of the clusters of the bank."""
        table = read_clusters(self._checkpoint)
        num_classes = len(self.classes) - 1
        return table if table and len(table) == num_classes else None

    @property
    def settings(self) -> dict[str, str]:
        """dict[str, str]: Configs of the run and of its stages, by title."""
        return {
            'the run': self.config.pretty_text,
            **{
                stage.title: stage.cfg.pretty_text
                for stage in self.stages
            }
        }

    @cached_property
    def _segmentor(self) -> nn.Module | None:
        if self._segmentor_file is None:
            return None
        return init_trained_model(self.config, self._segmentor_file, 'cpu')

    @torch.no_grad()
    def read(self, index: int) -> PhotoContents:
        """Read or make what there is of a photo.

        Args:
            index (int): Index in ``photos``.

        Returns:
            PhotoContents: The contents.

        Raises:
            OSError | RuntimeError | ValueError: If the photo or one of its
                files is damaged.
        """
        name = self.photos.image_ids[index]
        photo = read_photo(self.photos.get_data_info(index)['img_path'])
        maps = self._stored_maps(name, photo)
        if maps is None:
            sample = self.photos[index]
            maps = self.classifier.test_step(pseudo_collate([sample]))[0]
        made = {
            title: read_index_mask(folder / f'{name}.png')
            for title, folder in self._made
        }
        if self._segmentor is not None:
            found = inference_model(self._segmentor, photo)
            made['prediction'] = found.pred_sem_seg.data[0].numpy()
        truth = read_index_mask(
            self.truths[name]) if name in self.truths else None
        return PhotoContents(index, name, photo[..., ::-1], maps, made, truth)

    def _stored_maps(self, name: str,
                     photo: np.ndarray) -> SegDataSample | None:
        """Return the maps of a photo as a stage has stored them, if it has."""
        if self._maps_dir is None:
            return None
        *others, kind = self.kinds
        files = {
            kind: self._maps_dir / 'maps' / f'{name}.npz',
            **{
                other: self._maps_dir / 'extra_maps' / other / f'{name}.npz'
                for other in others
            }
        }
        if not all(path.exists() for path in files.values()):
            return None
        sample = SegDataSample(metainfo=dict(ori_shape=photo.shape[:2]))
        maps = {
            each: ActivationMaps.load(path)
            for each, path in files.items()
        }
        set_map_prediction(sample, maps, kind, self.bg_thr)
        return sample


def for_photos(
        run: RunContents, uses: Sequence[tuple[int,
                                               Callable[[PhotoContents],
                                                        None]]]) -> list[str]:
    """Read photos of a run, each once, for all who want it.

    Args:
        run (RunContents): The run.
        uses (Sequence[tuple[int, Callable]]): How many photos each wants, and
            what takes them.

    Returns:
        list[str]: What is wrong with those that could not be read or used.

    Raises:
        ValueError: If that is so of all.
    """
    wanted = [(set(choose(run.photos, run.truths, number)), use)
              for number, use in uses]
    indices = sorted(set().union(*(chosen for chosen, _ in wanted)))
    failed = []
    for index in track_on_terminal((indices, len(indices)), 'photos'):
        try:
            photo = run.read(index)
            for chosen, use in wanted:
                if index in chosen:
                    use(photo)
        # one bad photo ends no report
        except (OSError, ValueError, RuntimeError) as error:
            path = run.photos.get_data_info(index)['img_path']
            failed.append(f'{path}: {error}')
    if len(failed) == len(indices):
        raise ValueError('no photo could be drawn: ' + '; '.join(failed))
    return failed


def choose(photos: Dataset, masks: dict[str, str],
           num_images: int) -> list[int]:
    """Choose a fixed sample of the photos with a class, true masks first.

    Args:
        photos (Dataset): Photos with image labels.
        masks (dict[str, str]): True masks of some, by image id.
        num_images (int): Most photos of the sample.

    Returns:
        list[int]: Indices, ascending. A smaller sample is a part of a larger
        one.
    """
    order = np.random.default_rng(0).permutation(len(photos)).tolist()
    shown = [i for i in order if photos.get_cat_ids(i)]
    shown.sort(key=lambda i: photos.image_ids[i] not in masks)
    return sorted(shown[:num_images])


def stages_of(config: Config, work_dir: Path) -> list[Stage]:
    """Return the stages of a chain, in their order; of a joint run, none.

    The config gets the work dir.
    """
    config.work_dir = str(work_dir)
    return StagedRunner(config).stages if config.get('stages') else []


def _shown_maps(model: CAMSegmentor) -> list[str]:
    """Let a model make the maps to show, and return what they are called.

    They are those that tell foreground from context, where there are
    prototypes, and those of the masks.

    Raises:
        ValueError: If the maps of the masks need prototypes that are not
            there yet.
    """
    head, chosen = find_map_head(model), model.test_cfg['map_type']
    split = getattr(head, 'split_map_type', chosen)
    if find_map_type(chosen).needs_bank and not head.bank.is_built:
        raise ValueError('the checkpoint has no prototypes yet: wait for the '
                         'next one')
    model.test_cfg['extra_map_types'] = (split, )
    return list(dict.fromkeys((split, chosen)))


def _chain_maps(stages: list[Stage]) -> tuple[Config, Path]:
    """Return the config that makes the maps of a chain, and their folder.

    The config names its checkpoint.

    Raises:
        ValueError: If no stage makes any.
    """
    maker = next((stage for stage in stages if stage.writes_masks), None)
    if maker is None:
        raise ValueError("no stage has task='label', which makes the maps and "
                         'masks to show')
    return maker.resolved_cfg(), Path(maker.work_dir)


def _joint_maps(config: Config, work_dir: Path) -> Config:
    """Return a config that makes the maps of a joint run.

    Raises:
        ValueError: If it is no joint run, or has no labels yet.
    """
    hooks = [
        hook for hook in config.get('custom_hooks', [])
        if hook.type == 'PrototypeBankHook' and 'labels' in hook
    ]
    if not hooks:
        raise ValueError(f'{config.filename} has neither stages nor a '
                         'PrototypeBankHook with labels: there is nothing to '
                         'report')
    checkpoint = last_checkpoint(work_dir)
    if checkpoint is None or not (work_dir / 'labels/masks').exists():
        raise ValueError(f'{work_dir} holds no labels, or no checkpoint of '
                         'the time after: wait until the warm-up is over')
    cfg = copy.deepcopy(config)
    cfg.load_from = checkpoint
    cfg.model.type = 'CAMSegmentor'
    labels = hooks[0].labels
    cfg.model.test_cfg = dict(map_type=labels.get('map_type', 'lpcam'))
    cfg.label_dataloader = dict(dataset=labels.dataset)
    return cfg


def _build_dataset(dataloader: dict) -> Dataset:
    """Build a dataset that does not mind bad files until they are drawn."""
    return DATASETS.build(
        dict(dataloader['dataset'], check_files=False, _scope_='mmseg'))


def _true_masks(stages: list[Stage]) -> dict[str, str]:
    """Return the true mask of each image whose maps are scored, by its id."""
    found = {}
    for stage in stages:
        if stage.task == 'test' and not stage.writes_masks:
            scored = _build_dataset(stage.cfg.test_dataloader)
            infos = map(scored.get_data_info, range(len(scored)))
            found.update((info['image_id'], info['seg_map_path'])
                         for info in infos
                         if {'image_id', 'seg_map_path'} <= info.keys())
    return found


def is_finished(stage_dir: Path) -> bool:
    """Tell if a stage has run to its end.

    Args:
        stage_dir (Path): Its work dir.

    Returns:
        bool: Whether its state file says so.
    """
    state_file = stage_dir / 'stage.json'
    return state_file.exists() and read_json(state_file)['finished']
