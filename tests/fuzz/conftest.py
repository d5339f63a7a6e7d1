"""The table at the end of a campaign."""
import shutil

import pytest
from fuzz.core import TALLY, summary


@pytest.fixture(scope='session')
def campaign(tmp_path_factory):
    """A folder and what all cases share."""
    folder = tmp_path_factory.mktemp('fuzz')
    yield folder, {}
    shutil.rmtree(folder, ignore_errors=True)


def pytest_terminal_summary(terminalreporter):
    if TALLY:
        terminalreporter.section('inputs of the fuzz campaign')
        terminalreporter.write_line(summary())
