"""What importing the package adds to importing MMSegmentation."""
import argparse
import statistics
import subprocess
import sys

from .common import Comparison, time_in_turns

_MMSEG = 'import mmseg.models, mmseg.datasets, mmseg.evaluation'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: there is nothing to vary."""


def run(args: argparse.Namespace) -> list[Comparison]:
    """Measure."""

    def python(code: str) -> None:
        subprocess.run([sys.executable, '-W', 'ignore', '-c', code],
                       stdout=subprocess.DEVNULL,
                       check=True)

    seconds = time_in_turns(
        {
            'mmlpcam': lambda: python(f'{_MMSEG}; import mmlpcam'),
            'mmseg alone': lambda: python(_MMSEG)
        }, args.repeats)
    added = [a - b for a, b in zip(*seconds.values())]
    return [
        Comparison(
            'a process that imports and ends',
            seconds,
            notes=[f'Import adds {statistics.median(added):.2f} s.'])
    ]
