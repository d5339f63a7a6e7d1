"""What can be known before the first stage, so that nothing fails late."""
from .runs import Run, preflight
from .weights import Download, find_download, pretrained

__all__ = ['Download', 'Run', 'find_download', 'preflight', 'pretrained']
