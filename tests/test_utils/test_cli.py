"""Arguments that all tools take."""
import argparse

import pytest

from mmlpcam.utils import (SettingsAction, parse_run_args, read_config,
                           read_run_config, run_tool)


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


BROKEN = {
    'model = dict(\n': 'was never closed',
    "a = __import__('no_such_module')\n": 'no_such_module',
    'a = b\n': "'b' is not defined",
}


@pytest.mark.parametrize('text', BROKEN)
def test_broken_config_is_named(tmp_path, text):
    path = tmp_path / 'mine.py'
    path.write_text(text)
    with pytest.raises(ValueError, match=BROKEN[text]) as caught:
        read_config(path)
    assert f'{path} is no valid config' in str(caught.value)


@pytest.mark.parametrize('options, expected', [
    ({
        'hooks.9.x': 3
    }, 'Index 9'),
    ({
        'hooks.first.x': 3
    }, 'hooks'),
    ({
        'name.x': 3
    }, 'name|str'),
])
def test_options_that_do_not_fit(tmp_path, options, expected):
    path = tmp_path / 'mine.py'
    path.write_text("hooks = [dict(x=1)]\nname = 'a'\n")
    assert read_config(path, {'hooks.0.x': 2}).hooks[0].x == 2
    with pytest.raises(ValueError, match=expected) as caught:
        read_config(path, options)
    assert f'do not fit {path}' in str(caught.value)


@pytest.mark.parametrize('text', ['max_epochs', 'a=[1,(2]'])
def test_options_that_are_no_settings(capsys, text):
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=SettingsAction)
    with pytest.raises(SystemExit):
        parser.parse_args(['--cfg-options', text])
    assert f'--cfg-options: expected key=value, a list as key=[1,2], but ' \
        f'got {text}' in capsys.readouterr().err


def test_config_error_needs_no_traceback(tmp_path, capsys):
    args = argparse.Namespace(
        config=str(tmp_path / 'gone.py'), cfg_options=None)
    with pytest.raises(SystemExit):
        run_tool(lambda: read_run_config(args))
    assert 'gone.py' in capsys.readouterr().err
