import math

import pytest
import torch
from torch import nn

from stn.callbacks.warp_statistics import COLLAPSES, collapses, gradient_norms, telling
from stn.transformers import Affine, Affine3d, Projective, ThinPlateSpline


def affine(angle_deg: float, scale: float, stretch: float, shift: tuple[float, float]):
    """Theta (1, 6) of a turn after a stretch along x and y of `scale` times and over `stretch`."""
    a = math.radians(angle_deg)
    turn = torch.tensor([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]])
    A = turn @ torch.diag(torch.tensor([scale * stretch, scale / stretch]))
    return torch.cat([A, torch.tensor(shift)[:, None]], dim=1).reshape(1, 6)


@pytest.mark.parametrize("angle", [-150.0, -20.0, 0.0, 75.0])
def test_an_affine_warp_is_told_exactly(angle: float) -> None:
    theta = affine(angle, 0.7, 1.2, (0.1, -0.3))
    found = {name: values.item() for name, values in telling(Affine(), theta).items()}
    assert found["angle_deg"] == pytest.approx(angle, abs=1e-3)
    assert found["scale"] == pytest.approx(0.7, abs=1e-5)
    assert found["shear"] == pytest.approx((1.2 - 1 / 1.2) / (1.2 + 1 / 1.2), abs=1e-5)
    assert (found["shift_x"], found["shift_y"]) == pytest.approx((0.1, -0.3), abs=1e-5)
    assert found["bending"] == pytest.approx(0, abs=1e-6)
    assert found["folded"] == 0


@pytest.mark.parametrize("sign", [1, -1])
def test_a_warp_of_volumes_is_told_likewise(sign: int) -> None:
    random = torch.Generator().manual_seed(0)
    axis = torch.nn.functional.normalize(torch.randn(3, generator=random), dim=0) * math.radians(35)
    x, y, z = (sign * axis).tolist()
    turn = torch.matrix_exp(torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]]))
    theta = torch.cat([0.8 * turn, torch.tensor([[0.1], [0.2], [-0.3]])], dim=1).reshape(1, 12)
    found = {name: values.item() for name, values in telling(Affine3d(), theta).items()}
    assert found["angle_deg"] == pytest.approx(35, abs=1e-3)
    assert found["scale"] == pytest.approx(0.8, abs=1e-5)
    shift = [found[f"shift_{axis}"] for axis in "xyz"]
    assert shift == pytest.approx([0.1, 0.2, -0.3], abs=1e-5)
    rest = [found[name] for name in ("shear", "bending", "folded")]
    assert rest == pytest.approx([0, 0, 0], abs=1e-5)


def test_the_share_outside_is_that_of_the_area() -> None:
    thetas = torch.cat([affine(0, 1, 1, (x, 0)) for x in (0, 0.01, 1, -2.5)])
    outside = telling(Affine(), thetas)["outside"].tolist()
    assert outside == pytest.approx([0, 0, 0.5, 1], abs=1e-6)


def test_a_spline_bends_with_the_square_of_its_offsets() -> None:
    family = ThinPlateSpline((3, 4))
    theta = torch.randn(2, family.num_params, generator=torch.Generator().manual_seed(0)) / 20
    once, twice = (telling(family, theta * f)["bending"] for f in (1, 2))
    assert (once > 0.01).all()
    torch.testing.assert_close(twice, 4 * once, rtol=1e-3, atol=1e-6)


def test_past_the_horizon_all_numbers_are_finite() -> None:
    theta = torch.tensor([[1.0, 0, 0, 0, 1, 0, 3, 0]])
    assert all(values.isfinite().all() for values in telling(Projective(), theta).values())


def folding() -> tuple[ThinPlateSpline, torch.Tensor]:
    family = ThinPlateSpline((2, 3))
    offsets = torch.zeros(2, 2, 3, 2)
    offsets[:, :, 1, 0] = torch.tensor([2.0, 2.1])[:, None]  # the middle goes past the right side
    return family, offsets.flatten(1)


@pytest.mark.parametrize(
    ("wanted", "family", "theta"),
    [
        ([], Affine(), torch.cat([affine(0, 1, 1, (0, 0)), affine(9, 1, 1, (0, 0))])),
        (["zoomed_out"], Affine(), torch.cat([affine(a, 4, 1, (0, 0)) for a in (0, 9)])),
        (["point"], Affine(), torch.cat([affine(0, 0.01, 1, (x, 0)) for x in (0, 0.1)])),
        (["constant"], Affine(), affine(5, 1, 1, (0, 0)).repeat(3, 1)),
        (["folded"], *folding()),
    ],
)
def test_what_is_wrong_is_named_and_nothing_else(wanted: list[str], family, theta) -> None:
    assert collapses(telling(family, theta), theta) == wanted
    assert {*wanted} <= COLLAPSES.keys()


def test_norms_of_gradients_by_part() -> None:
    network = nn.ModuleDict({"localisation": nn.Linear(1, 2, bias=False), "rest": nn.Linear(1, 1)})
    network["localisation"].weight.grad = torch.tensor([[3.0], [4.0]])
    assert gradient_norms(network) == {"gradient/localisation": 5.0}
