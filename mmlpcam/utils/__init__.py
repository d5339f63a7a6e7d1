"""Small helpers that more than one sub-package needs."""
from .cli import parse_run_args
from .files import (atomic_path, check_no_stage, check_writable, read_json,
                    write_json)

__all__ = [
    'atomic_path', 'check_no_stage', 'check_writable', 'parse_run_args',
    'read_json', 'write_json'
]
