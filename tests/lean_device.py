"""A device that knows no float64, as Apple's MPS does, simulated on the processor.

`register()` makes `torch.device("lean")`, which Lightning's `auto` then takes for a Mac's, and its
tensors: each wraps one on the processor, on which all is computed. An operation that is given or
gives float64 on this device, or mixes devices, is an error. It is for good, so only for a process
of its own: `python -m tests.lean_device MODULE ARGUMENTS...` runs a module so.
"""

import runpy
import sys
from typing import Any

import torch
from lightning_fabric.accelerators.mps import MPSAccelerator as FabricMPSAccelerator
from pytorch_lightning.accelerators import MPSAccelerator
from torch import Tensor
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils._pytree import tree_map, tree_map_only
from torch.utils.backend_registration import (
    _DummyBackendModule,
    _setup_privateuseone_for_python_backend,
)

from stn.transformers.eager import PLAIN

NAME = "lean"
MESSAGE = "Cannot convert a tensor to float64, which the lean device does not support"


class LeanTensor(Tensor):
    """A tensor on the device."""

    @staticmethod
    def __new__(cls, held: Tensor, requires_grad: bool = False) -> "LeanTensor":
        if held.dtype in (torch.float64, torch.complex128):
            raise TypeError(MESSAGE)
        with torch.inference_mode(False):  # or a view of a parameter could not be one
            made = Tensor._make_wrapper_subclass(
                cls,
                held.size(),
                strides=held.stride(),
                storage_offset=held.storage_offset(),
                dtype=held.dtype,
                device=torch.device(NAME, 0),
                requires_grad=requires_grad,
            )
        made.held = held
        return made

    def __repr__(self) -> str:
        return f"LeanTensor({self.held!r})"

    def __reduce_ex__(self, protocol: int) -> Any:
        return self.detach().cpu().__reduce_ex__(protocol)

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: Any = (), kwargs: Any = None):
        return compute(operation, *args, **(kwargs or {}))


def compute(operation: Any, *args: Any, **kwargs: Any) -> Any:
    """Run an operation on the processor, and give back what it gives on the device it is for."""
    if operation is torch.ops.aten.copy_.default:  # the one operation between devices
        target, source = (x.held if isinstance(x, LeanTensor) else x for x in args[:2])
        if isinstance(args[0], LeanTensor) and source.dtype != target.dtype:
            source = source.to(target.dtype)
        target.copy_(source)
        return args[0]
    on_device = not isinstance(kwargs.get("device"), torch.device) or (
        kwargs["device"].type == NAME
    )
    if operation is not torch.ops.aten._to_copy.default:
        for argument in torch.utils._pytree.arg_tree_leaves(*args, **kwargs):
            if type(argument) is Tensor and argument.ndim:
                raise RuntimeError(f"{operation} mixes devices")
    plain_args, plain_kwargs = tree_map_only(LeanTensor, lambda x: x.held, (args, kwargs))
    if "device" in plain_kwargs:
        plain_kwargs["device"] = torch.device("cpu")
    given = operation(*plain_args, **plain_kwargs)
    if not on_device:
        return given
    wrapped = tree_map(lambda x: LeanTensor(x) if isinstance(x, Tensor) else x, given)
    return return_and_correct_aliasing(operation, args, kwargs, wrapped)


class LeanModule(_DummyBackendModule):
    """What is `torch.mps` of a Mac."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.float16, torch.bfloat16]


_KEPT = []


def register() -> None:
    """Make the device known to torch, and let Lightning take it for the MPS of a Mac."""
    _setup_privateuseone_for_python_backend(NAME, LeanModule())
    library = torch.library.Library("_", "IMPL")
    library.fallback(compute, "PrivateUse1")
    _KEPT.append(library)
    torch._C._set_only_lift_cpu_tensors(True)  # for `torch.tensor(..., device=...)`
    PLAIN.add(LeanTensor)  # as tensors of a real device are
    devices = [torch.device(NAME, 0)]
    for accelerator in (MPSAccelerator, FabricMPSAccelerator):
        accelerator.is_available = staticmethod(lambda: True)
        accelerator.setup_device = lambda self, device: None
    MPSAccelerator.get_parallel_devices = staticmethod(lambda wanted: devices)


if __name__ == "__main__":
    register()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
