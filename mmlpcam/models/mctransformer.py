"""MCTformer: a vision transformer with a token for each class."""
import torch
import torch.nn.functional as F
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule
from mmengine.model.weight_init import trunc_normal_
from mmseg.registry import MODELS
from torch import Tensor, nn


class _Attention(nn.Module):
    """Multi-head self-attention that can tell where it looks."""

    def __init__(self, embed_dims: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)

    def forward(self, x: Tensor, tell: bool) -> tuple[Tensor, Tensor | None]:
        """Tokens (N, T, D) and, where asked for, attention (N, T, T)."""
        q, k, v = self.qkv(x).unflatten(2, (3, self.num_heads, -1)).permute(
            2, 0, 3, 1, 4)
        attention = None
        if tell:
            weights = (q @ k.mT / q.shape[-1]**.5).softmax(-1)
            out, attention = weights @ v, weights.mean(1)
        else:
            out = F.scaled_dot_product_attention(q, k, v)
        return self.proj(out.transpose(1, 2).flatten(2)), attention


class _MLP(nn.Module):

    def __init__(self, embed_dims: int, hidden_dims: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(embed_dims, hidden_dims)
        self.fc2 = nn.Linear(hidden_dims, embed_dims)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class _Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, embed_dims: int, num_heads: int, mlp_ratio: float,
                 drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dims, eps=1e-6)
        self.attn = _Attention(embed_dims, num_heads)
        self.norm2 = nn.LayerNorm(embed_dims, eps=1e-6)
        self.mlp = _MLP(embed_dims, int(embed_dims * mlp_ratio))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, tell: bool) -> tuple[Tensor, Tensor | None]:
        out, attention = self.attn(self.norm1(x), tell)
        x = x + self.drop_path(out)
        return x + self.drop_path(self.mlp(self.norm2(x))), attention


@MODELS.register_module()
class MCTransformer(BaseModule):
    """Backbone of MCTformer (https://arxiv.org/abs/2203.02891, Sec. 3.2).

    A DeiT with C class tokens in the place of one. The outputs are those of
    the last block, without a final norm, as in the official code. It takes
    images of any size: the position embedding is interpolated, and pixels
    beyond the last whole patch are dropped, so that heads on it have
    ``rounding='floor'``.

    Weights of a DeiT with one class token are taken as they are: its token
    and the position of it are repeated for all classes.

    Args:
        num_classes (int): Number of classes with the background, which has
            no token.
        img_size (int): Side of the training images, in pixels. Defaults to
            224.
        patch_size (int): Side of a patch, in pixels. Defaults to 16.
        embed_dims (int): Channels D of a token. Defaults to 384 (DeiT-small).
        depth (int): Number of blocks. Defaults to 12.
        num_heads (int): Attention heads. Defaults to 6.
        mlp_ratio (float): Hidden channels as a multiple of D. Defaults to 4.
        drop_path_rate (float): Stochastic depth of the last block, which
            grows linearly. Defaults to 0.1.
        num_class_layers (int): Last blocks whose attention from class to
            patch is summed. Defaults to 3.
        init_cfg (dict, optional): Initialisation. Defaults to None.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(self,
                 num_classes: int,
                 *,
                 img_size: int = 224,
                 patch_size: int = 16,
                 embed_dims: int = 384,
                 depth: int = 12,
                 num_heads: int = 6,
                 mlp_ratio: float = 4.,
                 drop_path_rate: float = 0.1,
                 num_class_layers: int = 3,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if (num_classes < 2 or min(img_size, patch_size, num_heads) < 1
                or img_size % patch_size or embed_dims % num_heads):
            raise ValueError(
                'expected `num_classes` >= 2 with the background, `img_size` '
                'a positive multiple of `patch_size` and `embed_dims` one of '
                f'`num_heads`, but got {num_classes}, {img_size} and '
                f'{patch_size}, {embed_dims} and {num_heads}')
        if not 1 <= num_class_layers <= depth:
            raise ValueError(f'`num_class_layers` must be in [1, {depth}], '
                             f'but is {num_class_layers}')
        self.num_tokens = num_classes - 1
        self.grid = img_size // patch_size
        self.num_class_layers = num_class_layers
        self.patch_embed = nn.ModuleDict(
            dict(proj=nn.Conv2d(3, embed_dims, patch_size, patch_size)))
        self.cls_token = nn.Parameter(
            torch.zeros(1, self.num_tokens, embed_dims))
        self.pos_embed = nn.Parameter(
            torch.zeros(1, self.num_tokens + self.grid**2, embed_dims))
        rates = torch.linspace(0, drop_path_rate, depth).tolist()
        self.blocks = nn.ModuleList(
            _Block(embed_dims, num_heads, mlp_ratio, rate) for rate in rates)
        self._register_load_state_dict_pre_hook(self._repeat_class_token)

    def init_weights(self) -> None:
        """Initialise as DeiT does, or load what ``init_cfg`` names."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                trunc_normal_(module.weight, std=.02)
                nn.init.zeros_(module.bias)
        for tokens in (self.cls_token, self.pos_embed):
            trunc_normal_(tokens, std=.02)
        super().init_weights()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute tokens and, in evaluation mode, where they look.

        Args:
            x (Tensor): Normalised images of shape (N, 3, H, W).

        Returns:
            tuple[Tensor, ...]: Class tokens (N, C, D); the attention from
            classes to patches (N, C, h, w), mean over heads, sum over the
            last layers; the attention between patches (N, hw, hw), mean over
            heads, sum over all layers; patch tokens (N, D, h, w). In training
            mode the first and the last alone.
        """
        patches = self.patch_embed['proj'](x)
        grid = (patches.shape[2], patches.shape[3])
        tokens = torch.cat([
            self.cls_token.expand(len(x), -1, -1),
            patches.flatten(2).transpose(1, 2)
        ], 1) + self._positions(grid)
        number = self.num_tokens
        first = len(self.blocks) - self.num_class_layers
        of_classes = of_patches = x.new_zeros(())
        for i, block in enumerate(self.blocks):
            tokens, attention = block(tokens, tell=not self.training)
            if attention is not None:
                of_patches = of_patches + attention[:, number:, number:]
                if i >= first:
                    of_classes = of_classes + attention[:, :number, number:]
        local = tokens[:, number:].transpose(1, 2).unflatten(2, grid)
        if self.training:
            return tokens[:, :number], local
        return (tokens[:, :number], of_classes.unflatten(2, grid), of_patches,
                local)

    def _positions(self, grid: tuple[int, int]) -> Tensor:
        """Position embedding (1, C + hw, D) for any grid of patches."""
        number = self.num_tokens
        if grid == (self.grid, self.grid):
            return self.pos_embed
        of_patches = self.pos_embed[:, number:].transpose(1, 2).unflatten(
            2, (self.grid, self.grid))
        # a tenth of a cell more, as DINO and MCTformer have it, so that
        # rounding never loses a row
        of_patches = F.interpolate(
            of_patches,
            scale_factor=[(cells + .1) / self.grid for cells in grid],
            mode='bicubic')
        return torch.cat([
            self.pos_embed[:, :number],
            of_patches.flatten(2).transpose(1, 2)
        ], 1)

    def _repeat_class_token(self, state: dict, prefix: str, *args) -> None:
        """Take the weights of a DeiT, which has one class token."""
        token = state.get(f'{prefix}cls_token')
        if token is None or token.shape[1] != 1 or self.num_tokens == 1:
            return
        positions = state[f'{prefix}pos_embed']
        state[f'{prefix}cls_token'] = token.expand(-1, self.num_tokens, -1)
        state[f'{prefix}pos_embed'] = torch.cat([
            positions[:, :1].expand(-1, self.num_tokens, -1), positions[:, 1:]
        ], 1)
