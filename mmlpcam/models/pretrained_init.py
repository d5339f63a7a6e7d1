"""Weights that a part of a model starts from."""
from mmengine.logging import print_log
from mmengine.model import PretrainedInit as MMEnginePretrainedInit
from mmengine.model import update_init_info
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import load_state_dict
from mmseg.registry import WEIGHT_INITIALIZERS
from torch import nn

from mmlpcam.utils import weights_of


@WEIGHT_INITIALIZERS.register_module(name='Pretrained')
class PretrainedInit(MMEnginePretrainedInit):
    """MMEngine's initializer of that name, which fails if nothing fits.

    It is what ``init_cfg=dict(type='Pretrained', ...)`` builds in the scope
    of MMSegmentation. What one of the two sides lacks, such as the last
    layer of a classifier, is told by a warning, as ever.

    The arguments are those of MMEngine.
    """

    def __call__(self, module: nn.Module) -> None:
        """Load the weights.

        Args:
            module (nn.Module): Module to load into.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is not whole, not safe, or if none of its
                weights is one of the module.
        """
        print_log(f'load model from: {self.checkpoint}', logger='current')
        weights = weights_of(
            CheckpointLoader.load_checkpoint(self.checkpoint,
                                             self.map_location),
            self.checkpoint)
        prefix = self.prefix or ''
        if prefix and not prefix.endswith('.'):
            prefix += '.'
        expected = module.state_dict()
        found = {
            name[len(prefix):]: value
            for name, value in weights.items() if name.startswith(prefix)
        }
        if expected and not any(
                name in expected and value.shape == expected[name].shape
                for name, value in found.items()):
            raise ValueError(
                f'nothing in {self.checkpoint} fits {type(module).__name__}: '
                f'it expects {list(expected)[:3]}, ..., but the file holds '
                f'{list(weights)[:3]}, ...; set `prefix` of init_cfg (it is '
                f'{self.prefix!r}) to what comes before these names, or give '
                'the weights of this network')
        load_state_dict(module, found, strict=False, logger='current')
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=self._get_init_info())
