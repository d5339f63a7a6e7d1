"""Generated inputs of every format; see `fuzz.core`.

A failed case is named by its id: `pytest tests/fuzz -k csv-0017` runs the
same bytes again. MMLPCAM_FUZZ_SEED draws others.
"""
import importlib
import shutil

import pytest
from fuzz.core import FORMATS, READ, REFUSED, SEED, run_case

# they register their formats
for module in ('arrays', 'boxes', 'checkpoints', 'labels', 'pictures', 'state',
               'tables', 'vectors'):
    importlib.import_module(f'fuzz.{module}')

CASES = [
    pytest.param(
        kind.name,
        number,
        id=f'{kind.name}-{number:04d}',
        # a sample of each format runs with every test
        marks=[] if number < kind.sample else pytest.mark.fuzz)
    for kind in FORMATS.values() for number in range(kind.count)
]


@pytest.mark.parametrize('name, number', CASES)
def test_input(name, number, campaign, mmseg_scope, monkeypatch):
    folder, shared = campaign
    place = folder / f'{name}-{number:04d}'
    verdict, detail = run_case(name, number, place, shared)
    shutil.rmtree(place, ignore_errors=True)
    assert verdict in (READ, REFUSED), f'seed {SEED}, {detail}'


def test_campaign_is_large():
    assert sum(kind.count for kind in FORMATS.values()) >= 2000
    assert 100 <= sum(kind.sample for kind in FORMATS.values()) <= 250
