"""The linear classifier that probes a backbone."""

import sys
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from benchmarks import probe
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


@pytest.mark.parametrize(
    ("arguments", "side_and_crop"), [([], (297, 260)), (["--size", "224"], (256, 224))]
)
def test_birds_are_seen_in_the_size_of_the_weights_unless_told(
    arguments: list[str], side_and_crop: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    class AskedError(Exception):
        pass

    def data_module(*given: object, **_: object) -> None:
        raise AskedError(given[:2])

    backbone = SimpleNamespace(size=260, eval=lambda: backbone)
    monkeypatch.setattr(probe, "Backbone", lambda name, pretrained, data_dir: backbone)
    monkeypatch.setattr(probe, "CubDataModule", data_module)
    monkeypatch.setattr(sys, "argv", ["probe", "efficientnet_lite2", *arguments])
    with pytest.raises(AskedError) as asked:
        probe.main()
    assert asked.value.args == (side_and_crop,)
