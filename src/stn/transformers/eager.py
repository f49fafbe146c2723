"""Whether a call computes numbers now, or whether torch records, transforms or simulates it.

The quick ways of this package ask for values and choose by sizes. Where that cannot be asked, the
same is computed by the definition, in plain torch without a branch on a value or a size.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils._python_dispatch import _disable_current_modes, _get_current_dispatch_mode

PLAIN = {Tensor, torch.nn.Parameter}
"""Kinds of tensors that are what they seem."""


def is_eager(*tensors: Tensor) -> bool:
    """True if these are ordinary tensors with values, and nothing is done with the call but to run.

    It is not so under `torch.compile`, `torch.export` and tracing; under `torch.func` and forward
    mode differentiation; under a dispatch mode, as fake tensors are; and on the meta device.
    """
    return not (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
        or _get_current_dispatch_mode() is not None
        or any(type(t) not in PLAIN or t.is_meta for t in tensors)
    )


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Switch autocast off where it is on: three digits do not make a coordinate."""
    if torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()


@contextmanager
def as_constant() -> Iterator[None]:
    """Compute here and now what depends on no tensor, though a call around is being recorded."""
    with _disable_current_modes(), torch.inference_mode(False), torch.no_grad():
        yield
