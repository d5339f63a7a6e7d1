"""Run the tools in several gloo processes, as a launcher would.

The processes are forked after the imports, which take longer than the work.

usage: ranks.py JOBS, a JSON list of {folder, num_ranks, port, steps}; a step
is the command line of a tool. `folder` gets the output of each rank and the
exit statuses of all, as JSON.
"""
import json
import multiprocessing
import os
import runpy
import sys
from pathlib import Path

import matplotlib.pyplot  # noqa: F401, which the runner imports
from mmengine.config import Config

import mmlpcam  # noqa: F401


def member(rank: int, num_ranks: int, port: int, folder: Path,
           steps: list[list[str]]) -> None:
    """Be one rank: run all steps in one process group."""
    Config.pretty_text = ''  # its layout takes longer than all the rest
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(num_ranks),
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=str(port))
    with open(folder / f'rank{rank}.txt', 'w') as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    for step in steps:
        sys.argv = [*step, '--launcher', 'pytorch']
        runpy.run_path(step[0], run_name='__main__')


def main() -> None:
    fork = multiprocessing.get_context('fork')
    for job in json.loads(sys.argv[1]):
        folder = Path(job['folder'])
        folder.mkdir(parents=True)
        ranks = [
            fork.Process(
                target=member,
                args=(rank, job['num_ranks'], job['port'], folder,
                      job['steps'])) for rank in range(job['num_ranks'])
        ]
        for rank in ranks:
            rank.start()
        for rank in ranks:
            rank.join()
        (folder / 'statuses.json').write_text(
            json.dumps([rank.exitcode for rank in ranks]))


if __name__ == '__main__':
    main()
