import subprocess
import sys

import pytest

from mmlpcam.utils import release_memory

FREED = """
import re
from mmlpcam.utils import release_memory

def resident():
    with open('/proc/self/status') as file:
        return int(re.search(r'VmRSS:\\s+(\\d+)', file.read())[1]) // 1024

before = resident()
blocks = [b'\\1' * 65536 for _ in range(4000)]
kept = b'\\1' * 65536  # above them: they stay with the process
blocks.clear()
freed = resident()
release_memory()
print(freed - before, resident() - before)
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')
def test_freed_blocks_go_back_to_the_system():
    found = subprocess.run([sys.executable, '-c', FREED],
                           capture_output=True,
                           text=True,
                           check=True)
    freed, released = map(int, found.stdout.split())
    if freed < 200:
        pytest.skip('this C library gives blocks back by itself')
    assert released < 50


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr('ctypes.CDLL', lambda name: object())
    release_memory()
