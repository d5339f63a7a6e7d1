"""What MMEngine's checkpoints may contain."""
import pickle
import zipfile

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.runner.checkpoint import CheckpointLoader

from mmlpcam.utils.checkpoints import safe_globals


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
    with torch.serialization.safe_globals(safe_globals()):
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
    with torch.serialization.safe_globals(safe_globals()):
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
    with torch.serialization.safe_globals(safe_globals()), pytest.raises(
            pickle.UnpicklingError, match='may refer to min, max'):
        torch.load(path, weights_only=True)
