"""Networks of one size: all models of a column have as many parameters (Appendix A.4)."""

from collections.abc import Callable

import torch
from torch import nn

MAX_WIDTH = 4096


def num_parameters(network: nn.Module) -> int:
    """Count the trainable parameters of a network."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def matched(
    build: Callable[..., nn.Module], num_params: int, width: int | None = None
) -> nn.Module:
    """Build a network whose parameter count is as near to `num_params` as its width allows.

    Args:
        build: called with `width`; a larger width must give more parameters.
        num_params: the budget.
        width: use this width instead, whatever the budget.

    Raises:
        ValueError: even a width of 1 has more than the budget, or one of `MAX_WIDTH` has less; or
            the width is not positive.
    """
    if width is not None:
        if width < 1:
            raise ValueError(f"width must be positive, got {width}")
        return build(width=width)

    def count(width: int) -> int:
        with torch.device("meta"):
            return num_parameters(build(width=width))

    if count(1) > num_params:
        raise ValueError(
            f"a budget of {num_params} parameters is too small: width 1 already has {count(1)}"
        )
    if count(MAX_WIDTH) < num_params:
        raise ValueError(
            f"a budget of {num_params} parameters is too large: width {MAX_WIDTH} has"
            f" {count(MAX_WIDTH)}"
        )
    low, high = 1, MAX_WIDTH
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) <= num_params else (low, middle)
    return build(width=min((low, high), key=lambda width: abs(count(width) - num_params)))
