"""What a user gave, as it should be, or one line that names it and says what to write."""

from collections.abc import Iterable
from operator import index
from typing import Any

import torch
from torch import Tensor

from stn.transformers.eager import is_eager

FLAT = 1e-3
"""Points whose extent across is up to this share of that along count as on one line."""

NO_SPLINE = "the target points determine no spline: two coincide, or all lie on one line"


def whole_numbers(name: str, meaning: str, value: Any, least: int = 1) -> tuple[int, ...]:
    """Return whole numbers as a tuple; of two alike, one number will do.

    Args:
        name: of the argument.
        meaning: the numbers by their names, such as `(H, W)`.
        value: what was given.
        least: the smallest of them that can be.

    Raises:
        ValueError: these are not as many whole numbers, from `least` up.
    """
    num = meaning.count(",") + 1
    try:
        numbers = tuple(map(index, value)) if isinstance(value, Iterable) else (index(value),) * 2
    except TypeError:  # 3.5, or '4', or None
        numbers = ()
    if len(numbers) != num or min(numbers) < least:
        or_one = ", or one for both" if num == 2 else ""
        raise ValueError(
            f"{name} must be {num} whole numbers {meaning} from {least} up{or_one}, not {value!r}"
        )
    return numbers


def instance(name: str, example: str, value: Any, attributes: Iterable[str]) -> Any:
    """Return an object that has attributes; a class, or a name, is what people give instead.

    Args:
        name: of the argument.
        example: of what it may be.
        value: what was given.
        attributes: that it needs.

    Raises:
        ValueError: it is a class, or lacks one of them.
    """
    if isinstance(value, type):
        raise ValueError(f"{name} must be an object, not a class: write {value.__name__}(...)")
    if missing := [wanted for wanted in attributes if not hasattr(value, wanted)]:
        raise ValueError(
            f"{name} must be an object such as {example}, not {value!r}, which has no {missing[0]}"
        )
    return value


def output_size(size: Any, num_axes: int = 2) -> tuple[int, ...]:
    """Return the size of a target, (H, W) or (D, H, W). A size in a graph is left alone.

    Args:
        size: what was given; one number is a square.
        num_axes: 2 for images, 3 for volumes.

    Raises:
        ValueError: these are not as many whole numbers from 1 up.
    """
    in_a_graph = isinstance(size, tuple) and any(isinstance(n, torch.SymInt) for n in size)
    if not (in_a_graph or torch.compiler.is_compiling()):
        size = whole_numbers("output_size", "(D, H, W)" if num_axes == 3 else "(H, W)", size)
    return tuple(size)


def is_flat(points: Tensor) -> Tensor:
    """Tell whether points (..., K, 2) lie on a line, or on one place."""
    centred = points.detach() - points.detach().mean(dim=-2, keepdim=True)
    scatter = centred.mT @ centred  # (..., 2, 2), with the squared extents as eigenvalues
    x_x, x_y, y_y = scatter[..., 0, 0], scatter[..., 0, 1], scatter[..., 1, 1]
    return ~(x_x * y_y - x_y.square() > (FLAT * (x_x + y_y)).square())


def has_twins(points: Tensor) -> Tensor:
    """Tell whether two of the points (B, K, 2) are in one place."""
    points = points.detach()
    apart = (points[:, :, None] - points[:, None]).abs().amax(dim=3)  # (B, K, K)
    apart.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    return ~(apart.flatten(1).amin(dim=1) > 0)


def refuse(bad: Tensor, why: str) -> None:
    """Raise for the first sample that is bad, where that can be asked."""
    if is_eager(bad) and bad.any():
        first = int(bad.nonzero()[0])
        raise ValueError(f"{why} (sample {first} of {len(bad)})")
