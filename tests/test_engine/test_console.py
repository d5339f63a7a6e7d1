"""What the console of a run shows, and how errors of users are said."""
import logging

import pytest
from mmengine.logging import MMLogger

from mmlpcam.engine import console, quiet_console
from mmlpcam.utils import parallel, run_tool, user_errors


def make_logger(tmp_path):
    """Write to the standard output of this phase of a test."""
    logger = MMLogger.get_instance('console', log_file=str(tmp_path / 'log'))
    quiet_console(logger)
    quiet_console(logger)  # once is enough
    return logger


def progress(logger, line):
    logger.handle(
        logging.LogRecord('x', logging.INFO, 'logger_hook.py', 1, line, (),
                          None, 'after_train_iter'))


def test_set_up_goes_to_the_file(tmp_path, capsys):
    logger = make_logger(tmp_path)
    hidden = [
        'Config:\nmodel = 1',
        'paramwise_options -- a:lr=1',
        'Saving checkpoint at 5 epochs',
        't.csv: read as a row per image, with its tags',
        'The model and loaded state dict do not match exactly\n\n'
        'unexpected key in source state_dict: fc.weight\n',
    ]
    shown = [
        'prototype bank:\n+--+',
        'The model and loaded state dict do not match exactly\n\n'
        'unexpected key in source state_dict: a\n\n'
        'missing keys in source state_dict: b\n',
    ]
    for text in hidden + shown:
        logger.info(text)
    logger.error('Config:\nbroken')
    printed = capsys.readouterr().out
    saved = (tmp_path / 'log').read_text()
    for text in hidden:
        assert text not in printed and text in saved
    for text in (*shown, 'Config:\nbroken'):
        assert printed.count(text) == saved.count(text) == 1


def test_a_line_of_progress_a_minute(tmp_path, capsys, monkeypatch):
    logger = make_logger(tmp_path)
    now = [console.time.monotonic()]
    monkeypatch.setattr(console.time, 'monotonic', lambda: now[0])
    for index in range(10):
        now[0] += 25
        progress(logger, f'step {index}')
    printed = capsys.readouterr().out
    assert [i for i in range(10) if f'step {i}' in printed] == [2, 5, 8]
    assert (tmp_path / 'log').read_text().count('step') == 10


def test_progress_without_a_terminal(tmp_path, capsys, monkeypatch):
    make_logger(tmp_path)
    now = [0.]
    monkeypatch.setattr(parallel.time, 'monotonic', lambda: now[0])

    def work():
        for index in range(7):
            now[0] += 25
            yield index

    assert list(parallel.track_on_terminal((work(), 7),
                                           'photos')) == [*range(7)]
    lines = [
        line.partition('INFO - ')[2]
        for line in capsys.readouterr().out.splitlines()
    ]
    assert lines == ['photos: 3 of 7', 'photos: 6 of 7']


def test_errors_of_users_have_no_traceback(capsys):

    def refuse():
        with user_errors():
            raise ValueError('set a to 2')

    def fail():
        raise ValueError('a fault')

    with pytest.raises(SystemExit) as stop:
        run_tool(refuse)
    assert stop.value.code == 1
    assert capsys.readouterr().err == 'error: set a to 2\n'
    with pytest.raises(ValueError, match='a fault'):
        run_tool(fail)
    run_tool(lambda: None)
