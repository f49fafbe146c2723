import math

import numpy as np
import pytest
import torch
from torch import nn

from stn.models.svhn import HouseNumberCnn
from stn.running.readings import crops, read
from stn.transformers import Affine, FullyConnectedLocalisation


def maps(*scales: float, x: float = 0.0) -> torch.Tensor:
    return torch.tensor([[[s, 0, x], [0, s, 0]] for s in scales])


@pytest.mark.parametrize(
    ("found", "halves", "coverage"),
    [
        (maps(1.0, 1.0), (0.9, 0.9), 1.0),
        (maps(0.5, 0.5), (0.9, 0.9), (0.5 / 0.9) ** 2),
        (maps(0.45, 0.45), (0.45, 0.9), 0.5),
        (maps(1.0, 1.0, x=1.0), (0.8, 0.4), 0.5),
        (maps(0.2, 0.2, x=3.0), (0.8, 0.4), 0.0),
        (maps(-1.0, -1.0), (0.5, 0.5), 1.0),  # turned upside down it is still seen
    ],
)
def test_the_share_of_the_box_that_is_looked_at(found, halves, coverage: float) -> None:
    measured = crops(found, halves, torch.tensor([20.0, 50.0]))
    assert measured.coverage == pytest.approx(coverage, abs=0.03)
    assert measured.coverage_sd < 1e-9


def test_a_rotated_look_covers_what_a_polygon_says() -> None:
    c, s = math.cos(math.pi / 4), math.sin(math.pi / 4)
    turned = torch.tensor([[[0.5 * c, -0.5 * s, 0.0], [0.5 * s, 0.5 * c, 0.0]]] * 2)
    half = 0.5  # a square within the diamond |x| + |y| <= 0.5 sqrt 2, but for its corners
    corner = 2 * half - 0.5 * math.sqrt(2)
    wanted = 1 - 4 * (corner**2 / 2) / (2 * half) ** 2
    measured = crops(turned, (half, half), torch.tensor([20.0, 50.0]))
    assert measured.coverage == pytest.approx(wanted, abs=0.02)
    assert measured.scale == pytest.approx(0.5)


def test_scale_against_the_height_of_the_box() -> None:
    heights = torch.tensor([8.0, 16.0, 32.0, 40.0, 77.0])
    scales = torch.tensor([0.9, 0.83, 0.8, 0.65, 0.71])
    measured = crops(maps(*scales.tolist()), (0.5, 0.5), heights)
    logs = heights.log2().numpy()
    assert measured.slope == pytest.approx(np.polyfit(logs, scales.numpy(), 1)[0], rel=1e-4)
    wanted = np.corrcoef(logs, scales.numpy())[0, 1]
    assert measured.correlation == pytest.approx(wanted, rel=1e-4)
    assert measured.scale == pytest.approx(scales.mean().item())
    assert math.isnan(crops(maps(*[0.5] * 5), (0.5, 0.5), heights).correlation)


def test_a_network_reads_the_same_in_parts_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stn.running.readings.BATCH_SIZE", 3)
    localisation = lambda shape, t: FullyConnectedLocalisation(shape, t, hidden=(4,))  # noqa: E731
    places = {"places": (0, 2), "transform": Affine(), "localisation": localisation}
    network = HouseNumberCnn((3, 32, 37), 5, 11, width=0.1, **places).eval()  # type: ignore[arg-type]
    for name, weight in network.named_parameters():
        if name.endswith("regression.weight"):
            nn.init.normal_(weight, std=0.1)
    U = torch.randn(7, 3, 32, 37)
    reading = read(network, U)
    shares = network(U).softmax(dim=2)
    assert torch.equal(reading.digits, shares.argmax(dim=2))
    torch.testing.assert_close(reading.confidence, shares.amax(dim=2).prod(dim=1))
    assert reading.maps is not None
    assert reading.maps.shape == (7, 2, 3)
    assert reading.maps.std(dim=0).min() > 0
    assert read(HouseNumberCnn((3, 32, 37), 5, 11, width=0.1).eval(), U).maps is None
