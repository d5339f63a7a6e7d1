import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_ways_to_cluster_agree(tmp_path):
    out = tmp_path / 'kmeans.json'
    subprocess.run([
        sys.executable, ROOT / 'tools/benchmark.py', 'kmeans', '--points',
        '800', '--channels', '32', '--clusters', '5', '--plain-points', '100',
        '--repeats', '1', '--json', out
    ],
                   check=True)
    a_round, whole = json.loads(out.read_text())['comparisons']
    assert list(a_round['seconds']) == ['plain', 'ours']
    assert list(whole['seconds']) == ['scikit-learn', 'ours']
    worst = re.search(r'after a round: (\S+)\.$', a_round['notes'][0])
    assert float(worst[1]) < 1e-5
    assert float(whole['columns']['objective']['ours']) > 0
