"""What a run has left behind; reports of whole runs are in test_engine."""
import os
from datetime import datetime

from mmlpcam.apis.run_scores import run_seconds


def test_time_of_a_run_that_was_continued(tmp_path):
    for start, seconds in (('20260101_000000', 30), ('20260102_120000', 12.5)):
        log = tmp_path / start / f'{start}.log'
        log.parent.mkdir()
        log.touch()
        end = datetime.strptime(start, '%Y%m%d_%H%M%S').timestamp() + seconds
        os.utime(log, (end, end))
    (tmp_path / 'vis_data').mkdir()
    (tmp_path / 'vis_data' / 'other.log').touch()
    assert run_seconds(tmp_path) == 42.5
    assert run_seconds(tmp_path / 'nothing') == 0
