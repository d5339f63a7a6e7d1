"""Arguments that all tools take."""
import argparse

import pytest

from mmlpcam.utils import parse_run_args


def parse(monkeypatch, *arguments, world_size):
    monkeypatch.setattr('sys.argv', ['tool', *arguments])
    monkeypatch.setenv('WORLD_SIZE', world_size)
    monkeypatch.setenv('LOCAL_RANK', '0')  # restored after the test
    return parse_run_args(argparse.ArgumentParser())


def test_launcher_that_nobody_told_of(monkeypatch, capsys):
    """Each process would write the same files."""
    with pytest.raises(SystemExit):
        parse(monkeypatch, world_size='2')
    assert 'Add --launcher pytorch' in capsys.readouterr().err


@pytest.mark.parametrize('arguments, world_size',
                         [(['--launcher', 'pytorch'], '2'), ([], '1')])
def test_launcher(monkeypatch, arguments, world_size):
    args = parse(monkeypatch, *arguments, world_size=world_size)
    assert args.launcher == (arguments[1] if arguments else 'none')
