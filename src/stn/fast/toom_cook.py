"""Bilinear algorithms that correlate with fewer multiplications than the definition.

m outputs of a correlation with k taps are y = A^T [(G w) * (B^T x)] with r < m k products
(Winograd, Toom, Cook, Karatsuba). A and G evaluate polynomials at points; B follows from them.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

# Real points first, in this order; more of them would save products but lose float32 digits.
REAL_POINTS = (0.0, math.inf, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)


class Algorithm(NamedTuple):
    """Matrices of y = A^T [(G w) * (B^T x)] for m outputs, k taps and n = m + k - 1 inputs."""

    to_output: Tensor  # A^T (m, r)
    to_weight: Tensor  # G (r, k)
    to_input: Tensor  # B^T (r, n)


def _points(num: int) -> tuple[tuple[float, ...], list[float]]:
    """Points enough for a product of `num` coefficients: real ones, then angles on the unit circle.

    A point on the upper half of the circle stands for itself and its conjugate.
    """
    num_real = min(len(REAL_POINTS), num)
    num_real -= (num - num_real) % 2
    num_pairs = (num - num_real) // 2
    return REAL_POINTS[:num_real], [math.pi * (i + 1) / (num_pairs + 1) for i in range(num_pairs)]


def _evaluation(num_points: int, length: int) -> Tensor:
    """Evaluate a polynomial of `length` coefficients: one row a real point, three a complex pair.

    Two complex numbers multiply by three real products (Karatsuba): here of their projections on
    three directions 60 degrees apart, so that no direction loses more digits than another.
    """
    power = torch.arange(length, dtype=torch.float64)
    infinity = (power == length - 1).double()
    reals, angles = _points(num_points)
    rows = [infinity if p == math.inf else p**power for p in reals]
    rows += [(a * power - i * math.pi / 3).cos() for a in angles for i in range(3)]
    return torch.stack(rows)


def num_products(num: int) -> int:
    """Count the products r of the algorithm with n = `num` inputs."""
    reals, angles = _points(num)
    return len(reals) + 3 * len(angles)


@lru_cache
def algorithm(num_outputs: int, num_taps: int, dtype: torch.dtype) -> Algorithm:
    """Find the matrices for m outputs and k taps.

    B is what solves sum_r A[r, i] G[r, j] B[l, r] = (1 if i + j = l else 0), in least squares,
    which is exact, and of least norm where points are more than needed.
    """
    num_inputs = num_outputs + num_taps - 1
    a, g = _evaluation(num_inputs, num_outputs), _evaluation(num_inputs, num_taps)
    a, g = a / a.abs().amax(1, keepdim=True), g / g.norm(dim=1, keepdim=True)
    products = torch.einsum("ri,rj->ijr", a, g).flatten(0, 1)
    shift = torch.arange(num_outputs)[:, None] + torch.arange(num_taps)
    wanted = F.one_hot(shift.flatten(), num_inputs).double()
    b = torch.linalg.lstsq(products, wanted, driver="gelsd").solution
    return Algorithm(*(matrix.to(dtype).contiguous() for matrix in (a.T, g, b)))
