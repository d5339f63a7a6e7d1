"""Processes that data loaders leave behind."""
from mmengine.runner import Runner
from torch.utils.data import DataLoader


def stop_loader_processes(runner: Runner) -> None:
    """End the processes that the loaders of a runner keep.

    A runner holds a cycle of references. Where the garbage collector takes it
    apart, the queues of the loaders are closed before their iterators tell
    the processes to end, and PyTorch waits five seconds for each. Iterators
    that are let go of before that end theirs at once.

    Args:
        runner (Runner): The runner, at its end.
    """
    for loop in (runner._train_loop, runner._val_loop, runner._test_loop):
        loader = getattr(loop, 'dataloader', None)
        if isinstance(loader, DataLoader):
            loader._iterator = None
        # of loops by iterations
        endless = getattr(loop, 'dataloader_iterator', None)
        if endless is not None:
            endless._iterator = None
