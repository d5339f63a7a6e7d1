"""Which checkpoint a run goes on from, and what fits a model."""
import pytest
import torch
from mmseg.registry import MODELS

from mmlpcam.engine import (check_weights, init_trained_model, last_checkpoint,
                            load_weights)
from mmlpcam.models import CAMHead


@pytest.fixture
def run(tmp_path):
    """Folder of three whole checkpoints, the second of which is the last."""
    for epoch, time in ((1, '20260101_000001'), (2, '20260101_000003'),
                        (3, '20260101_000002')):
        torch.save(
            dict(
                meta=dict(epoch=epoch, iter=2 * epoch, time=time),
                state_dict=dict(w=torch.ones(2))),
            tmp_path / f'epoch_{epoch}.pth')
    (tmp_path / 'last_checkpoint').write_text('/elsewhere/epoch_1.pth')
    return tmp_path


def test_moved_work_dir(run):
    assert last_checkpoint(run) == str(run / 'epoch_1.pth')


@pytest.mark.parametrize('content', [
    None, b'', b'../../x', b'\xff\xfe\x00', b'epoch_9.pth', b'a\0b',
    b'x' * 1000, b'/'
])
def test_last_checkpoint_cannot_be_read(run, content, told):
    """The newest by the time in it: copies and older runs mislead."""
    if content is None:
        (run / 'last_checkpoint').unlink()
    else:
        (run / 'last_checkpoint').write_bytes(content)
    assert last_checkpoint(run) == str(run / 'epoch_2.pth')
    assert str(run / 'last_checkpoint') in told[0]
    assert str(run / 'epoch_2.pth') in told[0]


@pytest.fixture
def told(monkeypatch):
    """Collect warnings."""
    messages = []
    monkeypatch.setattr('mmlpcam.engine.checkpoints.print_log',
                        lambda message, **kwargs: messages.append(message))
    return messages


def cut(path):
    path.write_bytes(path.read_bytes()[:300])


def test_a_cut_checkpoint(run, told):
    cut(run / 'epoch_1.pth')
    assert last_checkpoint(run) == str(run / 'epoch_2.pth')
    assert 'epoch_1.pth is no whole checkpoint' in told[0]
    cut(run / 'epoch_2.pth')
    assert last_checkpoint(run) == str(run / 'epoch_3.pth')


@pytest.mark.parametrize('with_last', [True, False])
def test_nothing_whole_is_no_beginning(run, with_last):
    for path in run.glob('*.pth'):
        cut(path)
    if not with_last:
        (run / 'last_checkpoint').unlink()
    with pytest.raises(ValueError, match='no whole checkpoint to go on') as e:
        last_checkpoint(run)
    for epoch in (1, 2, 3):
        assert str(run / f'epoch_{epoch}.pth') in str(e.value)


def test_what_is_no_checkpoint_of_a_run(tmp_path):
    """Weights to start from, best checkpoints, what a killed one left."""
    assert last_checkpoint(tmp_path / 'nowhere') is None
    torch.save(dict(w=torch.ones(2)), tmp_path / 'resnet50.pth')
    (tmp_path / 'best_mIoU_epoch_3.pth').write_bytes(b'')
    (tmp_path / '.tmp-abc1.pth').write_bytes(b'')
    assert last_checkpoint(tmp_path) is None
    (tmp_path / 'last_checkpoint').write_text('resnet50.pth')
    with pytest.raises(ValueError, match='no checkpoint of a training'):
        last_checkpoint(tmp_path)


# --- what fits ---------------------------------------------------------------


@pytest.fixture
def model(mmseg_scope, tiny):
    torch.manual_seed(0)
    return MODELS.build(tiny.cfg())


HEAD = 'decode_head.conv_seg.weight'


def refused(model, weights, **kwargs):
    with pytest.raises(ValueError, match='^a.pth ') as error:
        check_weights(model, dict(state_dict=weights), 'a.pth', **kwargs)
    return str(error.value)


def test_its_own_weights(model):
    check_weights(model, model.state_dict(), 'a.pth')
    check_weights(model, {
        f'module.{key}': value
        for key, value in model.state_dict().items()
    }, 'a.pth')


@pytest.mark.parametrize('checkpoint', [{},
                                        dict(state_dict={}),
                                        torch.ones(2), 'text',
                                        dict(state_dict=dict(w=3)),
                                        dict(state_dict=[torch.ones(1)])])
def test_no_weights(model, checkpoint):
    with pytest.raises(ValueError, match='a.pth holds no weights'):
        check_weights(model, checkpoint, 'a.pth')


def test_weights_of_the_backbone_alone(model):
    message = refused(
        model, {
            key.removeprefix('backbone.'): value
            for key, value in model.state_dict().items()
            if key.startswith('backbone.')
        })
    assert 'nothing fits; missing weights' in message


def test_half_of_the_weights(model):
    weights = model.state_dict()
    del weights[HEAD]
    assert f'missing weights: 1 ({HEAD})' in refused(model, weights)


def test_a_deeper_network(model):
    weights = {**model.state_dict(), 'backbone.more.weight': torch.ones(1)}
    message = 'weights of another model: 1 (backbone.more.weight)'
    assert message in refused(model, weights)
    assert message in refused(model, weights, fine_tune=True)


def test_another_number_of_classes(model):
    weights = model.state_dict()
    shape = weights[HEAD].shape
    weights[HEAD] = torch.ones(shape[0] + 1, *shape[1:])
    assert (f'{HEAD} {tuple(weights[HEAD].shape)} instead of {tuple(shape)}'
            in refused(model, weights))
    # a new head may be trained on the same backbone
    check_weights(model, weights, 'a.pth', fine_tune=True)


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_values_that_are_not_finite(model, value):
    weights = {key: each.clone() for key, each in model.state_dict().items()}
    weights[HEAD].view(-1)[3] = value
    assert f'not finite: 1 ({HEAD})' in refused(model, weights)


def test_prototypes_may_be_missing_as_a_whole(model):
    weights = model.state_dict()
    bank = [key for key in weights if '.bank.' in key]
    assert isinstance(model.decode_head, CAMHead) and len(bank) == 6
    part = {key: value for key, value in weights.items() if key != bank[0]}
    assert bank[0] in refused(model, part)
    check_weights(model, part, 'a.pth', bank=False)
    check_weights(model, {
        key: value
        for key, value in weights.items() if key not in bank
    }, 'a.pth')


def test_load_weights(model, tiny, tmp_path):
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'a.pth')
    other = MODELS.build(tiny.cfg())
    assert not torch.equal(other.state_dict()[HEAD], model.state_dict()[HEAD])
    load_weights(other, tmp_path / 'a.pth')
    assert torch.equal(other.state_dict()[HEAD], model.state_dict()[HEAD])


def test_init_trained_model_wants_all(model, tiny, tmp_path):
    from mmengine.config import Config
    torch.save(dict(state_dict=dict(w=torch.ones(2))), tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='a.pth does not fit the CAMSegment'):
        init_trained_model(
            Config(dict(model=tiny.cfg())), tmp_path / 'a.pth', 'cpu')
