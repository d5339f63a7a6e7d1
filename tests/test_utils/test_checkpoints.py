"""What MMEngine's checkpoints may contain."""
import os
import pickle
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.runner.checkpoint import CheckpointLoader
from mmseg.registry import MODELS

from mmlpcam.utils import read_checkpoint
from mmlpcam.utils.checkpoints import TRUST_VARIABLE, mmengine_globals


@pytest.fixture
def checkpoint(tmp_path):
    """Save what a runner saves beside the weights."""
    hub = MessageHub('test')
    for loss in (2.0, 4.0):
        hub.update_scalar('train/loss', loss)
    hub.update_info('best_score', np.float64(0.5))
    hub.update_info('best_iter', np.int64(7))
    hub.update_info('best_mAcc', np.float32(0.25))
    torch.save(
        dict(message_hub=hub.state_dict(), state_dict=dict(w=torch.ones(2))),
        tmp_path / 'epoch_1.pth')
    return tmp_path / 'epoch_1.pth'


def check(state):
    hub = MessageHub('other')
    hub.load_state_dict(state['message_hub'])
    history = hub.get_scalar('train/loss')
    assert history.mean() == 3 and history.current() == 4
    assert history.statistics('max') == 4
    assert [
        hub.get_info(key) for key in ('best_score', 'best_iter', 'best_mAcc')
    ] == [0.5, 7, 0.25]
    assert state['state_dict']['w'].tolist() == [1, 1]


def test_importing_the_package_is_enough(checkpoint, recwarn):
    check(CheckpointLoader.load_checkpoint(str(checkpoint), logger='silent'))
    assert not [str(each.message) for each in recwarn]


def test_nothing_else_is_needed(checkpoint):
    with torch.serialization.safe_globals(mmengine_globals()):
        check(torch.load(checkpoint, weights_only=True))


def test_files_of_the_other_numpy(checkpoint, tmp_path):
    other = tmp_path / 'other.pth'
    ours, theirs = b'numpy._core.', b'numpy.core.'
    if np.zeros(1).__reduce__()[0].__module__.startswith('numpy.core'):
        ours, theirs = theirs, ours
    with zipfile.ZipFile(checkpoint) as source, \
            zipfile.ZipFile(other, 'w') as target:
        for name in source.namelist():
            content = source.read(name)
            assert (ours in content) == name.endswith('data.pkl')
            target.writestr(name, content.replace(ours, theirs))
    with torch.serialization.safe_globals(mmengine_globals()):
        check(torch.load(other, weights_only=True))


class Reach:
    """Pickled as `getattr(owner, name)`."""

    def __init__(self, owner, name):
        self.call = (getattr, (owner, name))

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('owner, name', [(HistoryBuffer, '__init__'),
                                         (np.ndarray, 'max'),
                                         (HistoryBuffer, 'mean.__globals__')])
def test_a_file_cannot_reach_further(tmp_path, owner, name):
    path = tmp_path / 'evil.pth'
    torch.save(Reach(owner, name), path)
    with torch.serialization.safe_globals(mmengine_globals()), pytest.raises(
            pickle.UnpicklingError, match='may refer to min, max'):
        torch.load(path, weights_only=True)


class Payload:
    """Pickled as a call that leaves a trace."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace), )


def by_mmengine(path):
    return CheckpointLoader.load_checkpoint(str(path), logger='silent')


def by_init_cfg(path):
    """As the pretrained weights of a backbone are loaded."""
    model = MODELS.build(
        dict(
            type='ResNet',
            depth=18,
            base_channels=4,
            stem_channels=4,
            init_cfg=dict(type='Pretrained', checkpoint=str(path))))
    model.init_weights()


WAYS = [read_checkpoint, by_mmengine, by_init_cfg]


@pytest.fixture
def evil(tmp_path, mmseg_scope):
    """A file that holds weights, and makes a folder when unpickled."""
    model = MODELS.build(
        dict(type='ResNet', depth=18, base_channels=4, stem_channels=4))
    torch.save(
        dict(state_dict=model.state_dict(), more=Payload(tmp_path / 'trace')),
        tmp_path / 'evil.pth')
    return tmp_path / 'evil.pth'


@pytest.mark.parametrize('trusted', [None, '', '0', 'other.pth', 'evil'])
@pytest.mark.parametrize('load', WAYS)
def test_nothing_is_executed(evil, tmp_path, monkeypatch, load, trusted):
    monkeypatch.delenv(TRUST_VARIABLE, raising=False)
    if trusted is not None:
        (tmp_path / 'other.pth').write_bytes(evil.read_bytes())
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv(TRUST_VARIABLE, trusted)
    with pytest.raises(
            ValueError,
            match=rf'evil\.pth is not loaded: .*{TRUST_VARIABLE}={evil} '):
        load(evil)
    assert not (tmp_path / 'trace').exists()


@pytest.mark.parametrize('trusted', ['1', '{file}', 'evil.pth', './evil.pth'])
@pytest.mark.parametrize('load', WAYS)
def test_opt_in(evil, tmp_path, monkeypatch, load, trusted):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(TRUST_VARIABLE, trusted.format(file=evil))
    with pytest.warns(UserWarning, match=f'{evil} is loaded as'):
        load(evil)
    assert (tmp_path / 'trace').is_dir()


def test_trust_in_a_file_that_is_damaged(evil, tmp_path, monkeypatch):
    content = bytearray(evil.read_bytes())
    content[len(content) // 2] ^= 1
    evil.write_bytes(content)
    monkeypatch.setenv(TRUST_VARIABLE, '1')
    with pytest.raises(ValueError, match=r'evil\.pth is no whole checkpoint'):
        read_checkpoint(evil)
    assert not (tmp_path / 'trace').exists()


@pytest.mark.parametrize('value, refused', [
    (torch.tensor([1., float('nan')]), True),
    (torch.tensor([float('nan')]).half(), True),
    (torch.tensor([complex(0, float('nan'))]), True),
    (torch.tensor([float('inf'), 1.]), False),
    (torch.tensor([2**40]), False),
])
@pytest.mark.parametrize('where', ['state_dict', 'optimizer'])
def test_nan(checkpoint, value, refused, where):
    content = read_checkpoint(checkpoint)
    content[where] = dict(w=torch.ones(2), head=[dict(bias=value)])
    torch.save(content, checkpoint)
    if not refused:
        by_mmengine(checkpoint)
        return
    with pytest.raises(
            ValueError,
            match=rf'epoch_1\.pth holds NaN in {where}\.head\.0\.bias'):
        by_mmengine(checkpoint)


@pytest.fixture
def server(checkpoint, tmp_path, monkeypatch):
    """Serve the folder of the checkpoint; count what is asked for."""
    asked = []

    class Handler(SimpleHTTPRequestHandler):

        def log_message(self, *args):
            asked.append(self.path)

    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    for name in ('http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'):
        monkeypatch.delenv(name, raising=False)
    with ThreadingHTTPServer(
        ('127.0.0.1', 0),
            partial(Handler, directory=str(checkpoint.parent))) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f'http://127.0.0.1:{running.server_port}', asked
        running.shutdown()
        thread.join()


def test_downloaded_once(server, checkpoint, tmp_path):
    address, asked = server
    for _ in range(2):
        check(by_mmengine(f'{address}/epoch_1.pth'))
    assert asked == ['/epoch_1.pth']
    cached = tmp_path / 'hub/checkpoints/epoch_1.pth'
    assert cached.read_bytes() == checkpoint.read_bytes()


def test_cached_file_that_is_damaged(server, tmp_path):
    address, asked = server
    cached = tmp_path / 'hub/checkpoints/epoch_1.pth'
    by_mmengine(f'{address}/epoch_1.pth')
    cached.write_bytes(cached.read_bytes()[:-100])
    with pytest.raises(
            ValueError, match=f'{cached} is no whole checkpoint.* again'):
        by_mmengine(f'{address}/epoch_1.pth')
    cached.unlink()
    check(by_mmengine(f'{address}/epoch_1.pth'))
    assert len(asked) == 2


def test_download_that_executes(server, evil, tmp_path):
    with pytest.raises(ValueError, match=r'evil\.pth is not loaded'):
        by_mmengine(f'{server[0]}/evil.pth')
    assert not (tmp_path / 'trace').exists()


def test_download_that_fails(server, tmp_path):
    address, _ = server
    cached = tmp_path / 'hub/checkpoints/none.pth'
    with pytest.raises(
            ConnectionError,
            match=f'{address}/none.pth cannot be downloaded to {cached} '
            r'\(.*404.*put the file there'):
        by_mmengine(f'{address}/none.pth')
    assert [*cached.parent.iterdir()] == []
