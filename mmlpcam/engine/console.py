"""Runs whose console says what matters; the log file has all."""
import logging
import re
import time

from mmengine.logging import MMLogger
from mmengine.runner import Runner

from mmlpcam.utils.parallel import SECONDS_BETWEEN_LINES

# Set-up that MMEngine logs for each run: environment, config, hooks, rates of
# parameters, files. A warning is left out where it is about nothing.
_SET_UP = re.compile(
    r'\n?-{60}\nSystem environment:|Config:\n|Hooks will be executed|'
    r'paramwise_options -- |Loads checkpoint by |load model from: |'
    r'Load checkpoint from |'
    r'Checkpoints will be saved to |Saving checkpoint at |Exp name: |'
    r'Distributed training is not used, all SyncBatchNorm|'
    r'"FileClient" will be deprecated|"HardDiskBackend" is the alias|'
    r'.+: read as a (row|column) per |'
    r'The model and loaded state dict do not match exactly\n\n'
    r'unexpected key in source state_dict: [^\n]*\n*$')
_PROGRESS = ('after_train_iter', 'after_val_iter', 'after_test_iter')


class ConsoleFilter(logging.Filter):
    """Leave set-up out of a console, and thin out lines of progress."""

    def __init__(self) -> None:
        super().__init__()
        self._last = time.monotonic()

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide on a record.

        Args:
            record (logging.LogRecord): What is logged.

        Returns:
            bool: Whether the console shows it.
        """
        if record.levelno >= logging.ERROR:
            return True
        if _SET_UP.match(record.getMessage()):
            return False
        if record.module == 'logger_hook' and record.funcName in _PROGRESS:
            now = time.monotonic()
            if now - self._last < SECONDS_BETWEEN_LINES:
                return False
            self._last = now
        return True


def quiet_console(logger: MMLogger) -> None:
    """Filter what a logger writes to its console, not to its files.

    Args:
        logger (MMLogger): The logger.
    """
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(
                handler, logging.FileHandler) and not any(
                    isinstance(each, ConsoleFilter)
                    for each in handler.filters):
            handler.addFilter(ConsoleFilter())


class QuietRunner(Runner):
    """MMEngine's runner with a console of few lines."""

    def build_logger(self, *args, **kwargs) -> MMLogger:
        """Build the logger, see :func:`quiet_console`.

        Returns:
            MMLogger: The logger.
        """
        logger = super().build_logger(*args, **kwargs)
        quiet_console(logger)
        return logger
