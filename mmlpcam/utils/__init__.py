"""Small helpers that more than one sub-package needs."""
from .classes import read_classes
from .cli import parse_run_args
from .files import (atomic_path, check_no_stage, check_writable, read_json,
                    write_json)
from .installed import config_path

__all__ = [
    'atomic_path', 'check_no_stage', 'check_writable', 'config_path',
    'parse_run_args', 'read_classes', 'read_json', 'write_json'
]
