"""The spatial transformer (Section 3): a layer that warps its input as the input itself suggests.

    U --localisation--> theta --transform--> grid --sampler--> V
    |                                                 ^
    +-------------------------------------------------+

All three parts are differentiable, so the loss of whatever follows trains the localisation network
without any word about where to look. The layer may stand at any place in a network, any number of
times, one after another or side by side. It reads and writes (B, C, H, W), with a transform of
volumes (B, C, D, H, W), and warps all channels alike.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stn.transformers import checks
from stn.transformers.eager import is_eager
from stn.transformers.samplers import KERNELS, sample
from stn.transformers.transforms import Transform, checked_transform, num_axes


class NonFiniteThetaError(ArithmeticError):
    """A localisation network has diverged: parameters of a warp are NaN or infinite."""


class SpatialTransformer(nn.Module):
    """Localisation network, grid generator and sampler in one layer (Figure 2).

    Args:
        localisation: network from U (B, C, H, W) to theta (B, P), ending in `regression_layer`.
        transform: the family of warps, which says what theta means.
        output_size: (H', W') of V, or one number for both, or (D', H', W') of a volume; None for
            that of U. Smaller than what the grid spans, it aliases (Section 3.4).
        kernel: how U is interpolated: `integer`, `bilinear` (as in all the paper's experiments) or
            `bicubic`.

    Raises:
        ValueError: an argument is not what it should be; says which, and what to write.
    """

    def __init__(
        self,
        localisation: nn.Module,
        transform: Transform,
        output_size: Sequence[int] | int | None = None,
        kernel: str = "bilinear",
    ) -> None:
        super().__init__()
        if kernel not in KERNELS:
            raise ValueError(f"unknown kernel {kernel!r}; valid are {', '.join(KERNELS)}")
        self.localisation = checks.instance(
            "localisation", "a torch.nn.Module", localisation, ["forward"]
        )
        self.transform = checked_transform(transform)
        self.num_axes = num_axes(transform)
        self.output_size = (
            None if output_size is None else checks.output_size(output_size, self.num_axes)
        )
        self.kernel = kernel

    def forward(self, U: Tensor, seen: Tensor | None = None) -> Tensor:
        """Warp the images U (B, C, H, W) to V (B, C, H', W').

        Args:
            U: images or maps.
            seen: what the localisation network looks at, if that is not U: a smaller copy of it, or
                features that several transformers share.

        Raises:
            NonFiniteThetaError: the localisation network returned NaN or infinity. Where to ask
                would wait for a device or cut a graph, V of such an image is NaN instead.
            ValueError: it returned theta of another shape than the transform needs.
        """
        return self.warp(U, self.theta(U if seen is None else seen))

    def theta(self, U: Tensor) -> Tensor:
        """Return the parameters (B, P) of the warp that U asks for (Section 3.1)."""
        return self.localisation(U)

    def warp(self, U: Tensor, theta: Tensor) -> Tensor:
        """Warp U by given parameters, for instance those found by another transformer."""
        size = self.output_size or tuple(U.shape[-self.num_axes :])
        grid = self.transform.grid(theta, size)  # (B, H', W', 2), Section 3.2
        V = sample(U, grid, self.kernel)  # (B, C, H', W'), Section 3.3
        return _if_finite(V, theta)

    def extra_repr(self) -> str:
        """Say what `print` cannot see in the sub-modules."""
        return f"transform={self.transform}, output_size={self.output_size}, kernel={self.kernel}"


def _if_finite(V: Tensor, theta: Tensor) -> Tensor:
    """Return V of a theta that is finite; of another one, raise or return NaN."""
    can_ask = theta.device.type == "cpu" and is_eager(theta)
    if can_ask and math.isfinite(theta.detach().sum().item()):  # one pass; overflow is seen below
        return V
    finite = torch.isfinite(theta).all(dim=1)  # (B,)
    if not can_ask:
        while finite.ndim < V.ndim:
            finite = finite.unsqueeze(-1)
        return torch.where(finite, V, torch.nan)
    if not finite.all():
        bad = int((~finite).sum())
        raise NonFiniteThetaError(
            f"theta is not finite for {bad} of {len(theta)} images ({bad / len(theta):.0%}):"
            " the localisation network has diverged"
        )
    return V
