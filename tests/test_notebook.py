"""The cells of the notebook run one after the other in a fresh process."""
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

NOTEBOOK = Path(
    __file__).resolve().parents[1] / 'examples' / 'quick_start.ipynb'


def run_cells(folder: Path, changes: dict[str, str] | None = None) -> str:
    """Return what they print; Jupyter is not needed for that."""
    cells = json.loads(NOTEBOOK.read_text())['cells']
    code = '\n\n'.join(''.join(cell['source']) for cell in cells
                       if cell['cell_type'] == 'code')
    for old, new in (changes or {}).items():
        assert old in code
        code = code.replace(old, new)
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', code],
                          cwd=folder,
                          capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    mask = Image.open(folder / 'quick_start/masks/masks/val_00000.png')
    assert mask.size == (128, 128)
    return done.stdout


def test_cells_hold_no_outputs():
    for cell in json.loads(NOTEBOOK.read_text())['cells']:
        assert not cell.get('outputs') and not cell.get('execution_count')


@pytest.mark.slow
def test_a_short_run(tmp_path):
    printed = run_cells(
        tmp_path, {
            'NUM_PHOTOS = 240': 'NUM_PHOTOS = 6',
            'num_val=20': 'num_val=1',
            'EPOCHS = 18': 'EPOCHS = 1'
        })
    for kind in ('cam', 'lpcam_f', 'lpcam'):
        assert f'\n{kind:8} mIoU ' in printed


@pytest.mark.slow
def test_the_whole_run(tmp_path):
    """LPCAM is ahead of a map that says background everywhere."""
    printed = run_cells(tmp_path)
    score = printed.split('\nlpcam    mIoU ')[1].split()[0]
    assert float(score) > 30
