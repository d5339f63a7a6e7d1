"""What can be known before the first stage, so that nothing fails late."""
from .runs import Run, preflight

__all__ = ['Run', 'preflight']
