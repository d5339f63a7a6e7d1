"""What all benchmarks share: timing in turns, tables and the machine."""
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch


@dataclass
class Comparison:
    """Ways to do the same, timed in turns.

    Attributes:
        title (str): What was done, on what.
        seconds (dict[str, list[float]]): For each way the seconds of each
            round; the baseline first, ours last.
        columns (dict[str, dict[str, str]]): Further columns, by name and way.
        notes (list[str]): What else was found, such as the difference of the
            results.
    """
    title: str
    seconds: dict[str, list[float]]
    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def ratios(self, way: str) -> list[float]:
        """Return how many times the last way is faster, in each round.

        Args:
            way (str): The way it is compared with.

        Returns:
            list[float]: Seconds of `way` by seconds of the last way.
        """
        ours = self.seconds[list(self.seconds)[-1]]
        return [b / a for a, b in zip(ours, self.seconds[way])]

    def markdown(self) -> str:
        """Return a table with a row per way.

        Returns:
            str: In Markdown, with the title above and the notes below.
        """
        head = ['way', 'median', 'least', 'most', 'times ours', *self.columns]
        lines = [
            f'**{self.title}**', '', f'| {" | ".join(head)} |',
            '|---' * len(head) + '|'
        ]
        for way, values in self.seconds.items():
            cells = [
                duration(each) for each in (statistics.median(values),
                                            min(values), max(values))
            ]
            ratios = self.ratios(way)
            cells.append(f'{statistics.median(ratios):.3g} '
                         f'({min(ratios):.3g} to {max(ratios):.3g})')
            cells += [column.get(way, '') for column in self.columns.values()]
            lines.append(f'| {way} | {" | ".join(cells)} |')
        return '\n'.join([*lines, *('\n' + note for note in self.notes), ''])


def duration(seconds: float) -> str:
    """Write a time as tables have it.

    Args:
        seconds (float): The time.

    Returns:
        str: In ms below a second.
    """
    if seconds < 1:
        return f'{1000 * seconds:.3g} ms'
    return f'{seconds:.3g} s'


def time_once(function: Callable[[], Any], device: str) -> float:
    """Time one call.

    Args:
        function (Callable): What to call.
        device (str): Torch device that it uses, waited for at the end.

    Returns:
        float: Seconds.
    """
    start = time.perf_counter()
    function()
    if torch.device(device).type == 'cuda':
        torch.cuda.synchronize()
    return time.perf_counter() - start


def time_in_turns(ways: Mapping[str, Callable[[], Any]],
                  repeats: int,
                  device: str = 'cpu',
                  warm_up: bool = True) -> dict[str, list[float]]:
    """Time ways in turns, so that what the machine does beside hits all.

    Args:
        ways (Mapping[str, Callable]): Calls by name, the baseline first.
        repeats (int): Rounds.
        device (str): Torch device that they use. Defaults to 'cpu'.
        warm_up (bool): Whether each is called once before. Defaults to True.

    Returns:
        dict[str, list[float]]: Seconds of each round by name.
    """
    if warm_up:
        for way in ways.values():
            way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            seconds[name].append(time_once(way, device))
    return seconds


def machine(device: str) -> dict[str, str]:
    """Describe where the benchmark runs.

    Args:
        device (str): Torch device.

    Returns:
        dict[str, str]: Processor or GPU, threads, versions and date.
    """
    on_gpu = torch.device(device).type == 'cuda'
    return dict(
        device=torch.cuda.get_device_name() if on_gpu else _processor(),
        threads=str(torch.get_num_threads()),
        torch=torch.__version__,
        python=platform.python_version(),
        date=time.strftime('%Y-%m-%d'))


def _processor() -> str:
    info = Path('/proc/cpuinfo')
    names = [
        line.partition(':')[2].strip()
        for line in (info.read_text().splitlines() if info.exists() else [])
        if line.startswith('model name')
    ]
    return names[0] if names else platform.processor() or platform.machine()


def as_dict(comparisons: list[Comparison], device: str) -> dict:
    """Return all that was measured, for JSON.

    Args:
        comparisons (list[Comparison]): Results.
        device (str): Torch device.

    Returns:
        dict: 'machine' and 'comparisons'.
    """
    return dict(
        machine=machine(device), comparisons=[asdict(c) for c in comparisons])
