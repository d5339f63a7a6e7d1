"""Scores and times that a run has left behind."""
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from prettytable import PrettyTable

from mmlpcam.engine import Stage
from mmlpcam.evaluation import image_label_table
from mmlpcam.structures import map_title, sort_map_types
from mmlpcam.utils import read_json, reading
from .run_contents import is_finished

Table = list[list[str]]


def score_table(work_dir: Path, stages: Sequence[Stage]) -> Table:
    """Return the scores of maps, masks and segmentors against true masks.

    Args:
        work_dir (Path): Work dir of the run.
        stages (Sequence[Stage]): Stages of a chain; of a joint run, none.

    Returns:
        Table: Rows of cells, the header first.

    Raises:
        ValueError: If a file of scores is damaged.
    """
    rows = [['what', 'mIoU', 'FP', 'FN', 'bg_thr']]
    for stage in stages:
        folder = Path(stage.work_dir)
        if (folder / 'scores.json').exists():
            rows += _map_scores(folder / 'scores.json', stage.title)
        elif is_finished(folder):
            metrics = read_json(folder / 'stage.json')['metrics']
            rows += _validation(stage.title, metrics.get('mIoU'))
    if not stages:
        rows += _validation('segmentor', last_validation(work_dir))
    return rows


def tag_tables(stages: Sequence[Stage]) -> dict[str, PrettyTable]:
    """Return how classifiers do on photos kept back, by their tags.

    Args:
        stages (Sequence[Stage]): Stages of a chain.

    Returns:
        dict[str, PrettyTable]: A table of each stage that scores tags, by the
        title of the stage.

    Raises:
        ValueError: If a file of scores is damaged.
    """
    found = {}
    for stage in stages:
        path = Path(stage.work_dir) / 'tag_scores.json'
        if path.exists():
            scores = read_json(path)
            with reading(path, 'file of scores', 'remove it'):
                found[stage.title] = image_label_table(scores)
    return found


def time_table(work_dir: Path, stages: Sequence[Stage]) -> Table:
    """Return how long each stage has worked.

    Args:
        work_dir (Path): Work dir of the run.
        stages (Sequence[Stage]): Stages of a chain; of a joint run, none.

    Returns:
        Table: Rows of cells, the header first.
    """
    times = [(stage.title, run_seconds(Path(stage.work_dir)))
             for stage in stages]
    times.append(
        ('all',
         sum(seconds
             for _, seconds in times) if stages else run_seconds(work_dir)))
    return [['stage', 'minutes'],
            *([title, f'{seconds / 60:.1f}'] for title, seconds in times)]


def run_seconds(work_dir: Path) -> float:
    """Return how long a run has worked, after its logs.

    Args:
        work_dir (Path): Work dir of a run or a stage.

    Returns:
        float: Seconds, with all its continuations.
    """
    total = 0.
    for log in work_dir.glob('*/*.log'):
        try:  # each run has a folder named after its start
            start = datetime.strptime(log.parent.name, '%Y%m%d_%H%M%S')
        except ValueError:
            continue
        total += max(log.stat().st_mtime - start.timestamp(), 0.)
    return total


def last_validation(run_dir: Path) -> float | None:
    """Return the last mIoU in the logs of a run.

    Args:
        run_dir (Path): Its work dir.

    Returns:
        float | None: In percent; None if there is none.

    Raises:
        ValueError: If a log is damaged.
    """
    found = None
    for log in sorted(run_dir.glob('*/vis_data/scalars.json')):
        with reading(log, 'log of scores', 'remove it'):
            lines = log.read_text(encoding='utf-8').splitlines(keepends=True)
            for line in lines:
                if line.endswith('\n'):  # or it is being written
                    found = _score(line, found)
    return found


def _score(line: str, default: float | None) -> float | None:
    """Return the mIoU in a line of a log, if there is one."""
    scores = json.loads(line)
    if not isinstance(scores, dict):
        raise ValueError(f'expected a JSON object a line, got {line!r}')
    score = scores.get('mIoU', default)
    return None if score is None else float(score)


def _map_scores(scores_file: Path, title: str) -> Table:
    scores = read_json(scores_file)
    with reading(scores_file, 'file of scores', 'remove it'):
        rows = []
        for map_type in sort_map_types(set(scores['maps'])):
            row = scores['maps'][map_type]
            rows.append([
                f'{map_title(map_type)} {title}, {scores["split"]}',
                *(str(row[name]) for name in ('mIoU', 'FP', 'FN', 'bg_thr'))
            ])
    return rows


def _validation(title: str, score: float | None) -> Table:
    if score is None:  # it was not validated
        return []
    return [[f'{title}, validation split', f'{score:.2f}', '', '', '']]
