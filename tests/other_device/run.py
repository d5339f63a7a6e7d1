"""Run a script as on a machine with an accelerator that is not there.

    python run.py SCRIPT [ARGUMENT ...]

MMEngine finds the device ``fakegpu``. Its tensors are those of the CPU, which
also computes; but they refuse what a GPU refuses: operations on tensors of
both devices, and ``numpy()``. So a script that ends well names no device and
moves what it has to. Streams, memory and speed are not those of a GPU, and
there is no mixed precision. The last line tells how many operations there
were.

It stands on PyTorch's backends written in Python, which not all versions have.
"""
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mmengine.device.utils
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

NAME = 'fakegpu'
aten = torch.ops.aten
# their second argument, indices, may be on the CPU
INDEXING = (aten.index.Tensor, aten.index_put.default, aten.index_put_.default,
            aten._index_put_impl_.default, aten._unsafe_index.Tensor)
num_operations = 0


class FakeTensor(Tensor):
    """A tensor of the CPU that says it is on the device."""
    inner: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner: Tensor) -> 'FakeTensor':
        layout = {} if inner.layout is not torch.strided else dict(
            strides=inner.stride(), storage_offset=inner.storage_offset())
        return Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            dtype=inner.dtype,
            device=torch.device(NAME, 0),
            **layout)

    def __init__(self, inner: Tensor) -> None:
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {})


class Dispatch(TorchDispatchMode):
    """Operations that make tensors on the device, among all others."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {})


class Functions(TorchFunctionMode):
    """What does not come down to operations."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func in (torch.tensor, torch.as_tensor):
            device = kwargs.pop('device', None)
            made = func(*args, **kwargs)
            return made if device is None else made.to(device)
        if args and isinstance(args[0], FakeTensor):
            if func is Tensor.tolist:
                return args[0].inner.tolist()
            if func is Tensor.numpy:
                raise TypeError(f"can't convert {NAME} tensor to numpy")
        return func(*args, **kwargs)


class Generator(torch.Generator):
    """That of the CPU, for any device."""

    def __new__(cls, device: Any = 'cpu') -> 'Generator':
        return super().__new__(cls, 'cpu')


class Module(backend_registration._DummyBackendModule):
    """Stands in for a module such as torch.cuda."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.float16]


def compute(func: Any, args: tuple, kwargs: dict) -> Any:
    """Compute on the CPU what is asked for on either device."""
    global num_operations
    here, there = split((args, kwargs))
    num_operations += bool(there)
    device = kwargs.get('device')
    if func is aten.copy_.default:
        stays = not isinstance(args[0], FakeTensor)
    elif device is not None:
        stays = torch.device(device).type != NAME
        kwargs = dict(kwargs, device=torch.device('cpu'))
    else:
        stays = not there
        if func in INDEXING and isinstance(args[0], FakeTensor):
            here, _ = split(args[2:])
        if there and any(each.dim() for each in here):
            raise RuntimeError(
                f'Expected all tensors to be on the same device, but {func} '
                f'got {[(tuple(x.shape), x.device) for x in here + there]}')
    bare_args, bare_kwargs = tree_map(
        lambda x: x.inner if isinstance(x, FakeTensor) else x, (args, kwargs))
    found = func(*bare_args, **bare_kwargs)
    if stays:
        return found
    known = {id(each.inner): each for each in there}  # of functions in place
    return tree_map(
        lambda x: known[id(x)] if id(x) in known else FakeTensor(x)
        if isinstance(x, Tensor) else x, found)


def split(tree: Any) -> tuple[list[Tensor], list['FakeTensor']]:
    """Return the tensors of the CPU, and those of the device."""
    tensors = [x for x in tree_leaves(tree) if isinstance(x, Tensor)]
    there = [x for x in tensors if isinstance(x, FakeTensor)]
    return [x for x in tensors if not isinstance(x, FakeTensor)], there


def main(arguments: Sequence[str]) -> None:
    backend_registration._setup_privateuseone_for_python_backend(
        NAME, backend_module=Module())
    mmengine.device.utils.DEVICE = NAME
    torch.Generator = Generator
    # parameters that move are other objects then, as these must be
    torch.__future__.set_swap_module_params_on_conversion(True)
    torch._C._set_only_lift_cpu_tensors(True)
    sys.argv = list(arguments)
    sys.path[0] = str(Path(sys.argv[0]).parent)  # as Python does
    with Dispatch(), Functions():
        try:
            runpy.run_path(sys.argv[0], run_name='__main__')
        except SystemExit as stop:
            if stop.code:
                raise
    print(f'{num_operations} operations on {NAME}')


if __name__ == '__main__':
    main(sys.argv[1:])
