"""Backbones of the package transformers."""
from pathlib import Path
from typing import Any

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmlpcam.utils import reading

# how the models of transformers call the norm after the last block
_FINAL_NORMS = ('layernorm', 'norm')


@MODELS.register_module()
class HFBackbone(BaseModule):
    """Any model that ``AutoBackbone`` of transformers knows.

    Among these are DINOv2 and DINOv3. Transformers give the tokens of patches
    as a map; class and register tokens are left out, pixels beyond the last
    whole patch are dropped (``rounding='floor'`` of the head), and the
    position embedding is interpolated to the image. ``stride`` of the head is
    the size of a patch.

    Nothing is fetched: ``init_cfg=dict(type='Pretrained', checkpoint=FILE)``
    names the file `model.safetensors` of a model of the Hugging Face Hub.
    Without it weights are random.

    Args:
        config (dict | str): Fields of the configuration, ``model_type`` among
            them, or the file `config.json` of a model of the Hub. Features of
            other blocks than the last are a matter of its ``out_indices``.
        final_norm (bool): Whether the last layer norm of a transformer is
            applied to the features. False gives the raw residual stream.
            Defaults to True.
        init_cfg (dict, optional): Initialisation. Defaults to None.

    Raises:
        ImportError: If transformers is not installed.
        ValueError: If `config` names no such model, if there is no norm to
            leave out, or `init_cfg` is another one.
    """

    def __init__(self,
                 config: dict | str,
                 *,
                 final_norm: bool = True,
                 init_cfg: dict | None = None) -> None:
        try:
            from transformers import AutoBackbone, AutoConfig
        except ImportError as error:
            raise ImportError('HFBackbone needs the package transformers: '
                              'pip install transformers') from error
        super().__init__(init_cfg)
        if init_cfg and set(init_cfg) != {'type', 'checkpoint'}:
            raise ValueError(
                "expected init_cfg=dict(type='Pretrained', checkpoint=FILE) "
                f'of HFBackbone, but got {init_cfg}')
        if isinstance(config, str):
            with reading(config, 'configuration of a model of transformers'):
                Path(config).read_bytes()  # else it is looked for in the Hub
                fields = AutoConfig.from_pretrained(config)
        else:
            fields = AutoConfig.for_model(**config)
        self.model = AutoBackbone.from_config(fields)
        if not final_norm:
            norms = [
                name for name in _FINAL_NORMS
                if isinstance(getattr(self.model, name, None), nn.LayerNorm)
            ]
            if not norms:
                raise ValueError(f'final_norm=False: {fields.model_type} has '
                                 'no norm after its last block; leave it out')
            setattr(self.model, norms[0], nn.Identity())
        for name, parameter in self.model.named_parameters():
            if name.endswith('mask_token'):  # only its pre-training uses it
                parameter.requires_grad = False

    def init_weights(self) -> None:
        """Load what ``init_cfg`` names; else weights stay random.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is damaged, or weights are missing in it.
        """
        if self.init_cfg:
            self.model.load_state_dict(_load(self.model, self.init_cfg))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute features.

        Args:
            x (Tensor): Normalised images of shape (N, 3, H, W).

        Returns:
            tuple[Tensor, ...]: Feature maps (N, D, h, w).
        """
        return self.model(x).feature_maps


def _load(model: Any, init_cfg: dict) -> dict[str, Tensor]:
    """Read weights under the names of the model, whatever the Hub has."""
    from safetensors.torch import load
    path = init_cfg['checkpoint']
    with reading(path, 'safetensors file'):
        weights = load(Path(path).read_bytes())
        found, report = type(model).from_pretrained(
            None,
            config=model.config,
            state_dict=weights,
            dtype=torch.float32,
            output_loading_info=True)
        missing = sorted(report['missing_keys'])
        if missing:
            raise ValueError(
                f'{path} lacks {len(missing)} weights of '
                f'{type(model).__name__}, {missing[0]} among them: give the '
                'weights of the model that `config` describes')
    expected = model.state_dict()
    return {k: v for k, v in found.state_dict().items() if k in expected}
