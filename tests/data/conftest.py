"""Digits for all tests of data."""

import pytest
import torch
from torch import Tensor


@pytest.fixture(scope="session")
def pool() -> Tensor:
    """Noise within a black border, as digits have it."""
    digits = torch.zeros(300, 1, 28, 28, dtype=torch.uint8)
    noise = torch.randint(0, 256, (300, 1, 20, 20), generator=torch.Generator().manual_seed(0))
    digits[..., 4:24, 4:24] = noise.to(torch.uint8)
    return digits
