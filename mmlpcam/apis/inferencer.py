"""Masks and maps of photos, in the manner of MMSegmentation."""
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.infer import BaseInferencer
from mmengine.registry import init_default_scope
from mmseg.structures import SegDataSample
from torch import nn

from mmlpcam.datasets import (ImageFinder, ImageLabelSource, Labels,
                              TagEncoder, load_labels)
from mmlpcam.engine import init_trained_model, model_digest
from mmlpcam.models import (CAMSegmentor, find_map_head, fold_batch_norm,
                            without_plans)
from mmlpcam.structures import find_map_type
from mmlpcam.utils import read_config
from mmlpcam.utils.masks import write_index_mask
from mmlpcam.utils.photos import write_picture
from mmlpcam.visualization import draw_mask
from .photo_inputs import InputsType, PhotoInput, find_photos
from .trained_files import find_checkpoint, photo_pipeline

TagsType = Sequence[Sequence[str]] | Mapping[str, Sequence[str]] | \
    ImageLabelSource


class Prediction(NamedTuple):
    """What has come of a photo.

    Attributes:
        input (PhotoInput): The photo.
        photo (np.ndarray, optional): Its pixels (H, W, 3) uint8, BGR.
        sample (:obj:`SegDataSample`, optional): The prediction, on the CPU:
            ``pred_sem_seg``, and of a classifier all that
            :func:`~mmlpcam.models.map_inference.set_map_prediction` lists.
        error (Exception, optional): Why there is none.
    """
    input: PhotoInput
    photo: np.ndarray | None = None
    sample: SegDataSample | None = None
    error: Exception | None = None

    @property
    def mask(self) -> np.ndarray | None:
        """np.ndarray | None: Class indices (H, W) uint8, 0 is background."""
        if self.sample is None:
            return None
        return self.sample.pred_sem_seg.data[0].numpy().astype(np.uint8)


class LPCAMInferencer(BaseInferencer):
    """Predict photos with a trained classifier or segmentor.

    It is called as :class:`mmseg.apis.MMSegInferencer` is. What differs:

    - a photo that cannot be read or predicted ends nothing: its results are
      None, and ``failed`` says why;
    - files are named after the photos;
    - a classifier gives maps as well, for the classes of `tags`, or, where a
      photo has none, for those that the classifier finds itself;
    - weights must fit the model, and nothing in them is executed.

    Attributes:
        digest (str): Of the weights, see
            :func:`~mmlpcam.engine.model_digest`.

    Args:
        model (str | os.PathLike | Config): Config of a classifier or
            segmentor with a ``test_pipeline``, or its file.
        weights (str): Checkpoint that a training has saved, or the work dir
            of a stage: its last checkpoint.
        device (str, optional): Such as 'cpu'. Defaults to None: a GPU if
            there is one.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If config, checkpoint and model do not fit, or the maps
            need prototypes that the checkpoint has not.

    Example:
        >>> inferencer = LPCAMInferencer(
        ...     'my_project/segmentor.py',
        ...     'runs/first/segmentor')  # doctest: +SKIP
        >>> inferencer('new_photos', out_dir='predictions')  # doctest: +SKIP
    """

    def __init__(self,
                 model: str | os.PathLike | Config,
                 weights: str | os.PathLike,
                 device: str | None = None) -> None:
        init_default_scope('mmseg')
        if not isinstance(model, Config):
            model = read_config(model)
        super().__init__(
            model=model, weights=str(weights), device=device, scope='mmseg')

    @property
    def classes(self) -> tuple[str, ...]:
        """tuple[str, ...]: Names of the mask values, the background first."""
        return tuple(self.model.dataset_meta['classes'])

    @property
    def palette(self) -> list[Sequence[int]]:
        """list[Sequence[int]]: Colours [r, g, b] of the mask values."""
        return list(self.model.dataset_meta['palette'])

    @property
    def makes_maps(self) -> bool:
        """bool: Whether the model is a classifier with maps."""
        return isinstance(self.model, CAMSegmentor)

    def __call__(self,
                 inputs: InputsType,
                 return_datasamples: bool = False,
                 batch_size: int = 1,
                 return_vis: bool = False,
                 out_dir: str | os.PathLike = '',
                 tags: TagsType | None = None) -> Any:
        """Predict photos.

        Args:
            inputs (str | os.PathLike | np.ndarray | Sequence): See
                :func:`~mmlpcam.apis.find_photos`.
            return_datasamples (bool): Whether to return data samples instead
                of a dict. Defaults to False.
            batch_size (int): Photos that are predicted together, if the model
                sees them at one size. Defaults to 1.
            return_vis (bool): Whether to return pictures. Defaults to False.
            out_dir (str | os.PathLike): See :meth:`write`. Defaults to '':
                nothing is written.
            tags (optional): Class names of each photo of a list; or of some
                photos, by name; or a label source that knows all. For
                classifiers. Defaults to None.

        Returns:
            dict | list[:obj:`SegDataSample`]: The samples, or a dict with

            - predictions: a mask (H, W) uint8 of class indices per photo;
            - maps: of a classifier an
              :class:`~mmlpcam.structures.ActivationMaps` per photo;
            - visualization: with `return_vis`, a picture (H, W, 3) uint8 RGB
              per photo;
            - failed: what is wrong with the photos that have None in these,
              by name.

            If `inputs` is a single photo, each list is its only item.

        Raises:
            FileNotFoundError: If a folder is missing.
            OSError: If results cannot be written.
            TypeError: If inputs or tags are of another kind.
            ValueError: If names clash, or tags do not fit.
        """
        found, pictures = [], []
        photos = find_photos(inputs, out_dir)
        for prediction in self.stream(photos, tags, batch_size):
            if out_dir:
                self.write(prediction, out_dir)
            if return_vis:
                pictures += self.visualize([], [prediction])
            # of a whole folder, these take much memory
            if prediction.sample is not None and not return_datasamples:
                prediction.sample.pop('activation', None)
            found.append(prediction._replace(photo=None))
        results = self.postprocess(found, pictures if return_vis else None,
                                   return_datasamples)
        is_single = isinstance(
            inputs, np.ndarray) or (isinstance(inputs, str | os.PathLike)
                                    and Path(inputs).is_file())
        if not is_single:
            return results
        if return_datasamples:
            return results[0]
        return {
            key: value[0] if isinstance(value, list) else value
            for key, value in results.items()
        }

    def stream(self,
               photos: Sequence[PhotoInput],
               tags: TagsType | None = None,
               batch_size: int = 1) -> Iterator[Prediction]:
        """Predict photos one after the other, however many they are.

        Args:
            photos (Sequence[PhotoInput]): Of
                :func:`~mmlpcam.apis.find_photos`.
            tags (optional): See :meth:`__call__`.
            batch_size (int): The same. Defaults to 1.

        Yields:
            Prediction: That of each photo, in their order.

        Raises:
            TypeError: If tags are of another kind.
            ValueError: If tags or `batch_size` do not fit.
        """
        if batch_size < 1:
            raise ValueError(f'batch_size must be at least 1, but is '
                             f'{batch_size}')
        labels = self._labels(photos, tags)
        for start in range(0, len(photos), batch_size):
            yield from self._predict(photos[start:start + batch_size], labels)

    def write(self, prediction: Prediction,
              out_dir: str | os.PathLike) -> None:
        """Write the files of a photo; of one that failed there are none.

        Args:
            prediction (Prediction): Of :meth:`stream`.
            out_dir (str | os.PathLike): Gets ``masks/<name>.png``, class
                indices with palette, ``pictures/<name>.jpg`` and, of a
                classifier, ``maps/<name>.npz``.

        Raises:
            OSError: If they cannot be written.
        """
        if prediction.sample is None:
            return
        out_dir, name = Path(out_dir), prediction.input.name
        write_index_mask(out_dir / 'masks' / f'{name}.png', prediction.mask,
                         self.palette)
        write_picture(out_dir / 'pictures' / f'{name}.jpg',
                      self._draw(prediction))
        if self.makes_maps:
            prediction.sample.scale_maps.save(out_dir / 'maps' / f'{name}.npz')

    def visualize(self, inputs: list, preds: list[Prediction],
                  **kwargs: Any) -> list[np.ndarray | None]:
        """Draw the masks on the photos.

        Args:
            inputs (list): Not needed.
            preds (list[Prediction]): The predictions, with photos.
            **kwargs: Not needed.

        Returns:
            list[np.ndarray | None]: (H, W, 3) uint8, RGB.
        """
        return [None if p.sample is None else self._draw(p) for p in preds]

    def postprocess(self,
                    preds: list[Prediction],
                    visualization: list[np.ndarray | None] | None,
                    return_datasample: bool = False,
                    **kwargs: Any) -> dict | list[SegDataSample | None]:
        """Pack the results, see :meth:`__call__`."""
        samples = [p.sample for p in preds]
        if return_datasample:
            return samples
        results: dict = dict(predictions=[p.mask for p in preds])
        if self.makes_maps:
            results['maps'] = [s and s.scale_maps for s in samples]
        if visualization is not None:
            results['visualization'] = visualization
        results['failed'] = {
            p.input.name: str(p.error)
            for p in preds if p.error is not None
        }
        return results

    def _draw(self, prediction: Prediction) -> np.ndarray:
        return draw_mask(prediction.photo[..., ::-1], prediction.mask,
                         self.palette)

    def _labels(self, photos: Sequence[PhotoInput],
                tags: TagsType | None) -> Labels:
        """Return the classes of the photos that have tags, by name."""
        if tags is None:
            return {}
        if not self.makes_maps:
            raise ValueError(
                f'tags are for a classifier, but {type(self.model).__name__} '
                'is a segmentor, which needs none: leave them out')
        names = [photo.name for photo in photos]
        foreground = self.classes[1:]
        if isinstance(tags, ImageLabelSource):
            return load_labels(
                tags, {photo.name: str(photo.source)
                       for photo in photos}, foreground)
        if isinstance(tags, Mapping):
            finder = ImageFinder(names)
            by_name = {}
            for key, value in tags.items():
                name = finder.find(key, 'tags')
                if name is None:
                    raise ValueError(f'tags: {key!r} is none of the '
                                     f'{len(names)} photos')
                by_name[name] = value
        elif isinstance(tags, Sequence) and len(tags) == len(names):
            by_name = dict(zip(names, tags))
        else:
            raise ValueError(
                f'expected tags for each of {len(names)} photos, a dict from '
                'their names, or a label source, but got '
                f'{str(tags)[:80]!r}')
        encoder = TagEncoder(foreground)
        for name, value in by_name.items():
            if isinstance(value, str):  # a sequence of letters
                raise TypeError(f'tags of {name!r}: expected a list of class '
                                f'names, but got {value!r}')
        return {
            name: encoder.encode(value, f'tags of {name!r}')
            for name, value in by_name.items()
        }

    def _predict(self, photos: Sequence[PhotoInput],
                 labels: Labels) -> list[Prediction]:
        """Predict a few photos, those of one size together."""
        results: dict[str, Prediction] = {}
        groups: dict[tuple, list[tuple[Prediction, dict]]] = {}
        for photo in photos:
            try:
                pixels = photo.read()
                data = self.pipeline(dict(img=pixels))
            except (OSError, ValueError, RuntimeError) as error:
                results[photo.name] = Prediction(photo, error=error)
                continue
            has_tags = photo.name in labels
            meta = dict(image_id=photo.name)
            if has_tags:
                meta['img_labels'] = labels[photo.name]
            data['data_samples'].set_metainfo(meta)
            # labels are found for whole batches
            key = (*data['inputs'].shape, has_tags)
            groups.setdefault(key, []).append((Prediction(photo,
                                                          pixels), data))
        for group in groups.values():
            for prediction in self._predict_alike(group):
                results[prediction.input.name] = prediction
        return [results[photo.name] for photo in photos]

    def _predict_alike(
            self, group: list[tuple[Prediction, dict]]) -> list[Prediction]:
        """Predict photos of one size; if that fails, one by one."""
        try:
            with without_plans():
                samples = self.forward(
                    self.collate_fn([data for _, data in group]))
        # one bad photo, or one too large for the device, ends no run
        except (OSError, ValueError, RuntimeError) as error:
            if len(group) == 1:
                return [group[0][0]._replace(error=error)]
            return [p for item in group for p in self._predict_alike([item])]
        if self.makes_maps:
            for sample in samples:
                sample.scale_maps = sample.scale_maps.cpu()
        return [
            prediction._replace(sample=sample.cpu())
            for (prediction, _), sample in zip(group, samples)
        ]

    def _init_model(self,
                    cfg: Config,
                    weights: str,
                    device: str = 'cpu') -> nn.Module:
        """Build the model, and refuse weights that do not fit."""
        photo_pipeline(cfg)  # a config without one needs no weights
        path = find_checkpoint(weights)
        model = init_trained_model(cfg, path, device)
        if getattr(model, 'dataset_meta', None) is None:
            raise ValueError(f'{path} does not say for what classes it was '
                             'trained (meta.dataset_meta): give one that a '
                             'training has saved')
        if isinstance(model, CAMSegmentor):
            _check_bank(model, path)
        self.digest = model_digest(model)  # before weights are rounded anew
        fold_batch_norm(model)
        return model

    def _init_pipeline(self, cfg: Config) -> Compose:
        return photo_pipeline(cfg)

    def _init_collate(self, cfg: Config) -> Callable:
        return pseudo_collate

    def _init_visualizer(self, cfg: Config) -> None:
        """Leave out the windows and backends of a training."""


def _check_bank(model: CAMSegmentor, path: str) -> None:
    cfg = model.test_cfg
    needing = [
        name for name in (cfg['map_type'], *cfg['extra_map_types'])
        if find_map_type(name).needs_bank
    ]
    if needing and not find_map_head(model).bank.is_built:
        raise ValueError(
            f'{path} holds no prototypes, which {needing[0]!r} maps need: '
            'give a checkpoint of the end of the training, or set '
            "model.test_cfg.map_type='cam' and extra_map_types=()")
