"""When to rebuild the prototype bank and the labels during training."""
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from mmengine.config import Config, ConfigDict
from mmengine.hooks import EarlyStoppingHook, EMAHook, Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.runner import IterBasedTrainLoop, Runner
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import HOOKS

from mmlpcam.engine.bank_report import CLUSTERS
from mmlpcam.engine.label_refresher import LabelRefresher
from mmlpcam.engine.prototype_builder import PrototypeBuilder
from mmlpcam.models import find_prototype_head
from mmlpcam.utils import release_memory

# Where the message hub, and so the checkpoint, has the labels in use.
_GENERATION = 'pseudo_labels'


@HOOKS.register_module()
class PrototypeBankHook(Hook):
    """Cluster features and fill the prototype bank while training.

    The bank lies in the model, so that checkpoints carry it; the hook runs
    before the checkpoint of the same epoch is written and before validation.

    In joint training (`labels`) each new bank is followed by new pseudo
    labels for the training set, see :class:`LabelRefresher`. Until the first
    ones exist the training set loads all-ignore masks, so that only the
    classification loss teaches the network: the warm-up. A resumed run goes
    on with the labels of its checkpoint. Loader processes of an
    iteration-based loop load a few batches ahead and meet new labels that
    much later.

    Beside MMEngine's ``EMAHook`` the averaged weights are those that
    checkpoints are used with: bank and labels are made with them, and the
    bank lies beside both sets of weights.

    Args:
        dataset (dict): See :class:`PrototypeBuilder`.
        interval (int): Build every this many epochs (or iterations), and
            always after the last one; -1 builds after `begin`, if given, and
            after the last one only. Defaults to -1.
        by_epoch (bool): Whether `interval` and `begin` count epochs.
            Defaults to True.
        begin (int, optional): Number of epochs (or iterations) after which
            the first bank is built: the length of the warm-up. Defaults to
            None: `interval`.
        momentum (float): Weight of the new bank in (0, 1]; below 1 it is
            averaged with the one before, see
            :meth:`PrototypeBank.set_class`. Defaults to 1.
        labels (dict, optional): Arguments `dataset`, `map_type` and `bg_thr`
            of :class:`LabelRefresher`; the others are those of the
            prototypes. Defaults to None: no labels are written.
        **builder: All other arguments of :class:`PrototypeBuilder`.

    Raises:
        ValueError: If an argument is out of range.
    """

    priority = 51  # just after EMAHook, which is NORMAL, has averaged

    def __init__(self,
                 dataset: dict,
                 *,
                 interval: int = -1,
                 by_epoch: bool = True,
                 begin: int | None = None,
                 momentum: float = 1.,
                 labels: dict | None = None,
                 **builder) -> None:
        if interval != -1 and interval < 1:
            raise ValueError(
                f'`interval` must be -1 or at least 1, but is {interval}')
        if begin is not None and begin < 1:
            raise ValueError(f'`begin` must be at least 1, but is {begin}')
        if not 0 < momentum <= 1:
            raise ValueError(
                f'`momentum` must lie in (0, 1], but is {momentum}')
        self.interval = interval
        self.by_epoch = by_epoch
        self.begin = interval if begin is None else begin
        self.momentum = momentum
        self.builder = PrototypeBuilder(dataset, **builder)
        self._last_checkpoint: str | None = None
        self.refresher = None if labels is None else LabelRefresher(
            **labels,
            num_workers=self.builder.num_workers,
            batch_size=self.builder.batch_size)

    def before_train(self, runner: Runner) -> None:
        """Fail before the training rather than after it.

        Raises:
            ValueError: If the hook and the training do not fit, see
                :meth:`check_loop` and :meth:`check_early_stop`; or there are
                several ``EMAHook``, or one that averages later.
        """
        loop = runner.train_loop
        by_iter = isinstance(loop, IterBasedTrainLoop)
        end = loop.max_iters if by_iter else loop.max_epochs
        self.check_loop(by_iter, end)
        if runner.val_loop is not None and any(
                isinstance(hook, EarlyStoppingHook) for hook in runner.hooks):
            self.check_early_stop(by_iter, loop.val_begin, loop.val_interval,
                                  end)
        averaging = [isinstance(hook, EMAHook) for hook in runner.hooks]
        if sum(averaging) > 1:
            raise ValueError('PrototypeBankHook works beside one EMAHook, but '
                             f'there are {sum(averaging)}')
        if any(averaging[runner.hooks.index(self):]):
            raise ValueError(
                'EMAHook runs after PrototypeBankHook, whose prototypes would '
                'not be those of the averaged weights: leave the priority of '
                "EMAHook at 'NORMAL', and that of PrototypeBankHook unset")
        find_prototype_head(_unwrap(runner))
        self.builder.prepare()
        if self.refresher is not None:
            self._connect_labels(runner)

    def _connect_labels(self, runner: Runner) -> None:
        """Let the training set read the labels of a run, new or resumed."""
        loop = runner.train_loop
        self.refresher.connect(runner.train_dataloader.dataset,
                               runner.work_dir)
        if isinstance(loop, IterBasedTrainLoop):
            # MMEngine 0.10.7 has started the loader processes by now, with
            # a dataset that knew no folder
            loop.dataloader = runner.build_dataloader(
                {
                    **runner.cfg.train_dataloader, 'dataset':
                    loop.dataloader.dataset
                },
                seed=runner.seed)
            loop.dataloader_iterator = type(loop.dataloader_iterator)(
                loop.dataloader)
        self._last_checkpoint = runner.message_hub.get_info('last_ckpt')
        # the message hub may remember an earlier run of this process
        generation = runner.message_hub.get_info(
            _GENERATION) if runner.iter else None
        runner.message_hub.update_info(_GENERATION, generation)
        if not self.refresher.restore(generation):
            print_log(
                f'the labels {generation!r} of the checkpoint are not in '
                f'{self.refresher.label_dir} any more, or not all of them: '
                'they are made anew from its prototypes',
                logger='current',
                level=logging.WARNING)
            self._label(runner, generation)
            self.refresher.note_checkpoint(generation)

    def after_train_epoch(self, runner: Runner) -> None:
        """Build where epochs are counted."""
        if self.by_epoch and (self._is_due(runner.epoch + 1)
                              or self.is_last_train_epoch(runner)):
            self._build_and_label(runner, f'epoch_{runner.epoch + 1}')

    def after_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Build where iterations are counted."""
        if not self.by_epoch and (self._is_due(runner.iter + 1)
                                  or self.is_last_train_iter(runner)):
            self._build_and_label(runner, f'iter_{runner.iter + 1}')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the labels that belong to the last checkpoint."""
        if self.refresher is None:
            return
        last = runner.message_hub.get_info('last_ckpt')
        if last != self._last_checkpoint:  # else it is a best one
            self._last_checkpoint = last
            self.refresher.note_checkpoint(
                runner.message_hub.get_info(_GENERATION))

    def build(self, runner: Runner) -> None:
        """Build the bank of the model of a runner now.

        The message hub, and so the checkpoint, gets what the clusters were,
        for reports.
        """
        with _averaged(runner), _autocast(runner):
            runner.message_hub.update_info(
                CLUSTERS, self.builder.build(_unwrap(runner), self.momentum))

    def check_loop(self, by_iter: bool, end: int) -> None:
        """Check that banks and labels are made in time.

        Args:
            by_iter (bool): Whether the training loop counts iterations.
            end (int): Its number of epochs or iterations.

        Raises:
            ValueError: If epochs are to be counted in an iteration-based
                loop, which ends its one epoch after the last checkpoint; or
                if no label would be there before the end.
        """
        if self.by_epoch and by_iter:
            raise ValueError('the training loop counts iterations: set '
                             'by_epoch=False in PrototypeBankHook')
        if self.refresher is None or self.by_epoch == by_iter:
            return
        if not 0 < self.begin < end:
            raise ValueError(
                'PrototypeBankHook would write the first labels after '
                f'{self.begin if self.begin > 0 else end} of {end} '
                f'{"epochs" if self.by_epoch else "iterations"}, and nothing '
                'would train on them: set `begin`, or `interval`, lower')

    def check_early_stop(self, by_iter: bool, begin: int, every: int,
                         end: int) -> None:
        """Check that a training which ``EarlyStoppingHook`` ends has a bank.

        In joint training an older one will do: labels have been made with it.

        Args:
            by_iter (bool): Whether the training loop counts iterations.
            begin (int): Epoch or iteration of the first validation.
            every (int): Interval of the validations.
            end (int): Number of epochs or iterations.

        Raises:
            ValueError: If a validation comes before the bank.
        """
        if self.by_epoch == by_iter:
            return  # counted in another unit
        unit = 'epoch' if self.by_epoch else 'iteration'
        for count in range(-(-begin // every) * every, end, every):
            if self.refresher is None and not self._is_due(count):
                raise ValueError(
                    'EarlyStoppingHook may end the training after the '
                    f'validation of {unit} {count}, for which no prototypes '
                    'are built: set `begin` and `interval` of '
                    f'PrototypeBankHook to {every}')
            if self.refresher is not None and count < self.begin:
                raise ValueError(
                    'EarlyStoppingHook may end the training after the '
                    f'validation of {unit} {count}, before the first labels '
                    f'are made: set train_cfg.val_begin={self.begin}')

    def _is_due(self, count: int) -> bool:
        if self.interval == -1:
            return count == self.begin
        return count >= self.begin and (count -
                                        self.begin) % self.interval == 0

    def _build_and_label(self, runner: Runner, generation: str) -> None:
        self.build(runner)
        if self.refresher is not None:
            self._label(runner, generation)
            runner.message_hub.update_info(_GENERATION, generation)
        release_memory()  # the features of all photos took some

    def _label(self, runner: Runner, generation: str) -> None:
        model = _unwrap(runner)
        with _averaged(runner), _autocast(runner):
            self.refresher.refresh(
                model, generation,
                self.builder.map_settings(find_prototype_head(model)))


def find_bank_hook(cfg: Config) -> ConfigDict:
    """Find the one hook of a config that fills a prototype bank.

    Args:
        cfg (Config): Config of a run.

    Returns:
        ConfigDict: Config of the hook.

    Raises:
        ValueError: If there is none, or several.
    """
    hooks = [
        hook for hook in cfg.get('custom_hooks') or []
        if hook.type == 'PrototypeBankHook'
    ]
    if len(hooks) != 1:
        raise ValueError(f'{cfg.filename} needs one PrototypeBankHook in '
                         f'custom_hooks, but has {len(hooks)}')
    return hooks[0]


def _unwrap(runner: Runner) -> EncoderDecoder:
    model = runner.model
    return model.module if is_model_wrapper(model) else model


@contextmanager
def _averaged(runner: Runner) -> Iterator[None]:
    """Work on the averaged weights that ``EMAHook`` keeps, if there is one.

    They are what a checkpoint has as its ``state_dict``. Afterwards both
    copies of the model have the buffers of the block, and so the bank.
    """
    hooks = [hook for hook in runner.hooks if isinstance(hook, EMAHook)]
    if not hooks:
        yield
        return
    hook, = hooks
    ema, model = hook.ema_model, _unwrap(runner)
    # as it does itself around a validation
    hook._swap_ema_parameters()
    try:
        yield
        shared = tuple(
            find_prototype_head(each).bank for each in (model, ema.module))
        if not ema.update_buffers:  # it has none of its own
            shared = (model, ema.module)
        for ours, theirs in zip(*(module.buffers() for module in shared)):
            theirs.copy_(ours)
    finally:
        hook._swap_ema_parameters()


def _autocast(runner: Runner) -> AbstractContextManager:
    """Compute features in the precision of the training."""
    wrapper = runner.optim_wrapper
    if isinstance(wrapper, OptimWrapper):
        return wrapper.optim_context(runner.model)
    return nullcontext()
