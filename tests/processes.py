"""Scripts of the checkout in processes of their own."""
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# a clone that is not installed must work as well
ENV = {
    **os.environ, 'PYTHONPATH': str(ROOT),
    'OMP_NUM_THREADS': '1',
    'PYTHONWARNINGS': 'ignore'
}


def start(*arguments, stdout=subprocess.DEVNULL, **env):
    """Start Python with arguments, and with `env` in its environment."""
    return subprocess.Popen([sys.executable, *map(str, arguments)],
                            env={
                                **ENV,
                                **{
                                    key: str(value)
                                    for key, value in env.items()
                                }
                            },
                            stdout=stdout,
                            stderr=subprocess.STDOUT,
                            text=True)


def run(*arguments, **env):
    """As :func:`start`, to its end; return its output."""
    process = start(*arguments, stdout=subprocess.PIPE, **env)
    output = process.communicate()[0]
    assert process.returncode == 0, output[-3000:]
    return output
