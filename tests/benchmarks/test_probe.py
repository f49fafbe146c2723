"""The linear classifier that probes a backbone."""

import torch
import torch.nn.functional as F

from benchmarks.probe import accuracy, fit


def test_classes_that_a_plane_parts_are_parted() -> None:
    random = torch.Generator().manual_seed(0)
    y = torch.arange(3).repeat(20)
    x = F.one_hot(y, 5) * 4.0 + torch.randn(60, 5, generator=random)
    assert accuracy(fit(x, y, 1e-4), x, y) > 95
    assert accuracy(fit(x, y, 1e-4), x, (y + 1) % 3) < 5


def test_a_fit_is_where_no_slope_is_left() -> None:
    random = torch.Generator().manual_seed(1)
    x, y = torch.randn(40, 6, generator=random), torch.arange(40) % 4
    weights = fit(x, y, 0.01).requires_grad_()
    (F.cross_entropy(x @ weights.T, y) + 0.01 * weights.square().sum()).backward()
    assert weights.grad is not None
    assert weights.grad.abs().max() < 1e-4
