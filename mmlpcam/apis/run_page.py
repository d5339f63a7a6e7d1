"""A page on a run, for a browser."""
import os
from collections.abc import Sequence

import numpy as np

from mmlpcam.evaluation import mask_confidence
from mmlpcam.models.prototype_bank import SIDES
from mmlpcam.visualization import HTMLReport, ReportPhoto, ReportPrototype
from .prototype_atlas import PrototypeAtlas
from .run_contents import PhotoContents, RunContents
from .run_scores import Table, score_table, tag_tables, time_table


class RunPage:
    """A page with photos, masks, scores and prototypes of a run.

    Args:
        run (RunContents): The run.
    """

    def __init__(self, run: RunContents) -> None:
        self._run = run
        self._atlas = PrototypeAtlas(
            run.classifier, run.clusters) if run.has_prototypes else None
        self._bg_thrs: list[float] = []
        self._report = HTMLReport(
            title=str(run.config.filename),
            classes=run.classes,
            palette=run.palette,
            map_type=run.kinds[-1],
            settings=run.settings)

    def add(self, photo: PhotoContents) -> None:
        """Add a photo.

        Args:
            photo (PhotoContents): What the run has made of it.
        """
        maps = photo.maps
        if self._atlas is not None:
            self._atlas.add(self._run.photos[photo.index], photo.name,
                            photo.image)
        self._report.add(
            ReportPhoto(
                photo.name,
                tuple(maps.img_labels),
                photo.image,
                maps={
                    kind: maps.activation.get(kind).numpy()
                    for kind in self._run.kinds
                },
                masks=photo.made,
                truth=photo.truth,
                confidence=mask_confidence(maps.scale_maps, maps.bg_thr,
                                           photo.image)))
        self._bg_thrs.append(maps.bg_thr)

    def write(self, path: str | os.PathLike) -> None:
        """Write the page, whole or not at all.

        Args:
            path (str | os.PathLike): File name.

        Raises:
            OSError: If it cannot be written.
            ValueError: If a file of scores is damaged.
        """
        run, report = self._run, self._report
        if self._bg_thrs:  # one and the same, unless it is one of each image
            report.bg_thr = float(np.median(self._bg_thrs))
        report.notes = [
            f'Work dir: {run.work_dir}',
            f'{len(run.photos)} photos get masks; {len(self._bg_thrs)} of '
            'them are shown, the least certain masks first.'
        ]
        report.prototypes = self._atlas.prototypes() if self._atlas else []
        report.tables = {
            'Scores against true masks': score_table(run.work_dir, run.stages),
            **{
                f'Classifier, by tags of photos kept back ({title})': [[
                    str(cell) for cell in row
                ] for row in (table.field_names, *table.rows)]
                for title, table in tag_tables(run.stages).items()
            }, 'Prototypes': prototype_table(report.prototypes, run.classes),
            'Time': time_table(run.work_dir, run.stages)
        }
        report.write(path)


def prototype_table(prototypes: Sequence[ReportPrototype],
                    classes: Sequence[str]) -> Table:
    """Count the prototypes of each class.

    Args:
        prototypes (Sequence[ReportPrototype]): Prototypes, and centres that
            were dropped.
        classes (Sequence[str]): Names of the mask values.

    Returns:
        Table: Rows of cells, the header first.
    """
    rows = [['class', *(f'{side} prototypes' for side in SIDES)]]
    for label, name in enumerate(classes[1:]) if prototypes else ():
        rows.append([name])
        for side in SIDES:
            centers = [
                row for row in prototypes
                if (row.label, row.side) == (label, side)
            ]
            text = str(sum(row.kept for row in centers))
            if all(row.features is not None for row in centers):
                text += f' of {len(centers)} centres'
            rows[-1].append(text)
    return rows
