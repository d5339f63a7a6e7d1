"""Small helpers that more than one sub-package needs."""
from .files import atomic_path, check_writable, read_json, write_json

__all__ = ['atomic_path', 'check_writable', 'read_json', 'write_json']
