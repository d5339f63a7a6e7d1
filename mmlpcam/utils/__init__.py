"""Small helpers that more than one sub-package needs."""
from .checkpoints import read_checkpoint, weights_of, write_checkpoint
from .cli import parse_run_args
from .files import (atomic_path, check_no_stage, check_writable, read_json,
                    reading, write_bytes, write_json)
from .installed import config_path
from .ranks import on_main_process

__all__ = [
    'atomic_path', 'check_no_stage', 'check_writable', 'config_path',
    'parse_run_args', 'read_checkpoint', 'read_json', 'reading',
    'on_main_process', 'weights_of', 'write_bytes', 'write_checkpoint',
    'write_json'
]
