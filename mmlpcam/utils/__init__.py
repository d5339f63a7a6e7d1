"""Small helpers that more than one sub-package needs."""
from .checkpoints import read_checkpoint, weights_of, write_checkpoint
from .classes import read_classes
from .cli import (SettingsAction, add_cfg_options, parse_run_args, read_config,
                  read_run_config)
from .files import (atomic_path, check_no_stage, check_writable, full_disk_at,
                    is_whole, read_json, reading, stored_path, write_bytes,
                    write_json)
from .memory import release_memory
from .ranks import on_main_process
from .shipped_configs import config_path
from .user_errors import run_tool, user_errors

__all__ = [
    'SettingsAction', 'add_cfg_options', 'atomic_path', 'check_no_stage',
    'check_writable', 'config_path', 'full_disk_at', 'is_whole',
    'on_main_process', 'parse_run_args', 'read_checkpoint', 'read_classes',
    'read_config', 'read_json', 'read_run_config', 'reading', 'release_memory',
    'run_tool', 'stored_path', 'user_errors', 'weights_of', 'write_bytes',
    'write_checkpoint', 'write_json'
]
