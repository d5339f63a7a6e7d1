"""Two runs do not share a work dir."""
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mmlpcam.engine import lock as module
from mmlpcam.engine import run_lock
from mmlpcam.engine.lock import LOCK_NAME

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys, time
from mmlpcam.engine import run_lock
with run_lock(sys.argv[1]):
    print('locked', flush=True)
    time.sleep(60)
"""


@pytest.fixture
def lock(tmp_path):
    return tmp_path / LOCK_NAME


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, '-c', HOLD, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT)
    assert 'locked\n' in iter(process.stdout.readline, '')
    yield process
    process.kill()
    process.communicate()


def of_another_machine(lock, age):
    with run_lock(lock.parent):
        content = json.loads(lock.read_text())
    lock.write_text(
        json.dumps({
            **content, 'host': 'elsewhere',
            'machine': 'elsewhere 1'
        }))
    written = lock.stat().st_mtime
    os.utime(lock, (written - age, written - age))


def test_released_at_the_end_and_after_an_error(lock):
    with run_lock(lock.parent):
        assert json.loads(lock.read_text())['pid'] == os.getpid()
    assert not lock.exists()
    with pytest.raises(KeyError), run_lock(lock.parent):
        raise KeyError
    assert list(lock.parent.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_second_run_is_told_who_holds_it(lock, holder):
    with pytest.raises(RuntimeError) as error, run_lock(lock.parent):
        pass
    text = str(error.value)
    assert f'{lock.parent} is in use by another run' in text
    assert f'process {holder.pid} on ' in text
    assert 'choose another --work-dir' in text
    assert json.loads(lock.read_text())['pid'] == holder.pid


def test_killed_run_leaves_no_hindrance(lock, holder, caplog):
    holder.kill()
    holder.wait()
    assert lock.exists()
    with run_lock(lock.parent):
        assert json.loads(lock.read_text())['pid'] == os.getpid()
    assert not lock.exists()


def test_sigterm_releases(lock, holder):
    holder.terminate()
    assert holder.wait() == -signal.SIGTERM
    assert not lock.exists()


def test_number_of_a_dead_process_used_again(lock):
    with run_lock(lock.parent):
        content = json.loads(lock.read_text())
    lock.write_text(json.dumps({**content, 'process_start': '1'}))
    with run_lock(lock.parent):
        pass


def test_the_same_process_twice(lock):
    with run_lock(lock.parent):
        with pytest.raises(RuntimeError, match='in use'):
            with run_lock(lock.parent):
                pass
        assert lock.exists()


def test_another_machine_is_believed_for_a_while(lock):
    of_another_machine(lock, age=200)
    with pytest.raises(RuntimeError, match='on elsewhere .* remove .*lock'):
        with run_lock(lock.parent):
            pass
    of_another_machine_content = lock.read_text()
    assert 'elsewhere' in of_another_machine_content
    lock.unlink()
    of_another_machine(lock, age=400)
    with run_lock(lock.parent):
        assert 'elsewhere' not in lock.read_text()


@pytest.mark.parametrize('content', ['', '[]', '{"pid": 1}', 'half {"tok'])
def test_unreadable_lock(lock, content):
    lock.write_text(content)
    with pytest.raises(RuntimeError, match=f'remove {lock}'):
        with run_lock(lock.parent):
            pass
    assert lock.read_text() == content


def test_signs_of_life(lock, monkeypatch):
    monkeypatch.setattr(module, '_BEAT', .01)
    beaten = threading.Event()
    utime = os.utime

    def note(path, *args):
        utime(path, *args)
        beaten.set()

    monkeypatch.setattr(os, 'utime', note)
    with run_lock(lock.parent):
        os.utime(lock, (0, 0))
        beaten.clear()
        assert beaten.wait(10)
        assert lock.stat().st_mtime > 0


def test_quicker_one_keeps_the_lock_that_it_took_over(lock, monkeypatch):
    """Both saw the lock of a dead process; one has replaced it by now."""
    with run_lock(lock.parent):
        live = lock.read_text()
    lock.write_text(json.dumps({**json.loads(live), 'process_start': '1'}))
    rename = os.rename

    def late(source, target):
        Path(source).write_text(live)
        rename(source, target)

    monkeypatch.setattr(os, 'rename', late)
    with pytest.raises(RuntimeError, match='in use'), run_lock(lock.parent):
        pass
    assert lock.read_text() == live
    assert list(lock.parent.iterdir()) == [lock]


@pytest.mark.parametrize('has_links', [True, False])
def test_a_full_disk_leaves_no_half_lock(lock, monkeypatch, has_links):

    def full(content, file):
        file.write('{"half')
        raise OSError(28, 'No space left')

    def refuse(*args):
        monkeypatch.setattr(json, 'dump', full)
        raise PermissionError

    if has_links:
        monkeypatch.setattr(json, 'dump', full)
    else:
        monkeypatch.setattr(os, 'link', refuse)
    with pytest.raises(OSError, match=f"No space left: '{lock}'$"):
        with run_lock(lock.parent):
            pass
    assert list(lock.parent.iterdir()) == []


def test_file_system_without_links(lock, monkeypatch):

    def refuse(*args, **kwargs):
        raise PermissionError

    monkeypatch.setattr(os, 'link', refuse)
    with run_lock(lock.parent):
        with pytest.raises(RuntimeError, match='in use'):
            with run_lock(lock.parent):
                pass
    assert list(lock.parent.iterdir()) == []
