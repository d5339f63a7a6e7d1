"""Run a tool in a process that dies before its second shard has its name.

usage: dying_tool.py TOOL [arguments of the tool]
"""
import os
import runpy
import signal
import sys


def die_before_second_shard() -> None:
    left = [2]

    def audit(event: str, args: tuple) -> None:
        if event == 'os.rename' and str(args[1]).endswith('.tar'):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(audit)


if __name__ == '__main__':
    die_before_second_shard()
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name='__main__')
