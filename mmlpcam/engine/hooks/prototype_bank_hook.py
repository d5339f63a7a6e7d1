"""When to rebuild the prototype bank during training."""
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import IterBasedTrainLoop, Runner
from mmseg.registry import HOOKS

from mmlpcam.engine.prototype_builder import PrototypeBuilder, find_cam_head


@HOOKS.register_module()
class PrototypeBankHook(Hook):
    """Cluster features and fill the prototype bank while training.

    The bank lies in the model, so that checkpoints carry it; the hook runs
    before the checkpoint of the same epoch is written and before validation.

    Args:
        dataset (dict): See :class:`PrototypeBuilder`.
        interval (int): Build every this many epochs (or iterations), and
            always after the last one; -1 builds after the last one only.
            Defaults to -1.
        by_epoch (bool): Whether `interval` counts epochs. Defaults to True.
        **builder: All other arguments of :class:`PrototypeBuilder`.
    """

    priority = 'NORMAL'

    def __init__(self,
                 dataset: dict,
                 *,
                 interval: int = -1,
                 by_epoch: bool = True,
                 **builder) -> None:
        if interval != -1 and interval < 1:
            raise ValueError(
                f'`interval` must be -1 or at least 1, but is {interval}')
        self.interval = interval
        self.by_epoch = by_epoch
        self.builder = PrototypeBuilder(dataset, **builder)

    def before_train(self, runner: Runner) -> None:
        """Fail before the training rather than after it.

        Raises:
            ValueError: If epochs are to be counted in an iteration-based
                loop, which ends its one epoch after the last checkpoint.
        """
        if self.by_epoch and isinstance(runner.train_loop, IterBasedTrainLoop):
            raise ValueError('the training loop counts iterations: set '
                             'by_epoch=False in PrototypeBankHook')
        find_cam_head(_unwrap(runner))
        self.builder.prepare()

    def after_train_epoch(self, runner: Runner) -> None:
        """Build where epochs are counted."""
        if self.by_epoch and (self.every_n_epochs(runner, self.interval)
                              or self.is_last_train_epoch(runner)):
            self.build(runner)

    def after_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Build where iterations are counted."""
        if not self.by_epoch and (self.every_n_train_iters(
                runner, self.interval) or self.is_last_train_iter(runner)):
            self.build(runner)

    def build(self, runner: Runner) -> None:
        """Build the bank of the model of a runner now."""
        self.builder.build(_unwrap(runner))


def _unwrap(runner: Runner):
    model = runner.model
    return model.module if is_model_wrapper(model) else model
