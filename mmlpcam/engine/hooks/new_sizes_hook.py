"""Photos of many sizes on a GPU."""
from contextlib import ExitStack

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from mmlpcam.models import without_plans


@HOOKS.register_module()
class NewSizesHook(Hook):
    """Keep cuDNN from planning each size of photo in validation and test.

    Photos are validated and tested at their own sizes, and a plan takes
    longer than the photo, see :func:`~mmlpcam.models.without_plans`. Training
    on crops of one size is left alone. The maps and prototypes of this
    package do without plans by themselves.
    """

    def __init__(self) -> None:
        self._settings = ExitStack()

    def before_val(self, runner: Runner) -> None:
        """Start to do without plans."""
        self._settings.enter_context(without_plans())

    def after_val(self, runner: Runner) -> None:
        """Restore the settings."""
        self._settings.close()

    before_test = before_val
    after_test = after_val
