import re

import pytest
import torch

from stn.data.contract import Places
from stn.inspecting.looks import Looks
from stn.inspecting.looks_report import _of, _parts


@pytest.fixture
def places() -> Places:
    random = torch.Generator().manual_seed(0)
    points = 2 * torch.rand(200, 3, 2, generator=random) - 1
    is_seen = torch.rand(200, 3, generator=random) < 0.7
    groups = (("head", ("beak", "eye")), ("body", ("tail",)))
    return Places(("beak", "eye", "tail"), points, is_seen, torch.zeros(200, 4), groups=groups)


def crops(x: float, scale: float) -> Looks:
    A = torch.tensor([[scale, 0, x], [0, scale, 0.0], [0, 0, 1]]).repeat(1, 200, 1, 1)
    return Looks(A, torch.zeros(200, 2))


def test_differences_are_of_the_same_images(places: Places) -> None:
    before, after = crops(-0.5, 0.5), crops(0.5, 0.5)
    lines = _parts(before, after, places)
    rows = {line.split(" | ")[0].removeprefix("| "): line.split(" | ") for line in lines}
    for k, name in enumerate(places.names):
        inside = [looks.contains(places.points)[0, :, k] for looks in (before, after)]
        then, now = (100.0 * i[places.is_seen[:, k]].float() for i in inside)
        _, n, share, change, *_ = rows[name]
        assert int(n) == len(now) == int(places.is_seen[:, k].sum())
        found, low, high = map(float, re.findall(r"[\d.]+", share))
        assert found == pytest.approx(now.mean().item(), abs=0.06)
        assert low < found < high
        assert float(change.split(" ± ")[0]) == pytest.approx((now - then).mean().item(), abs=0.006)
    assert int(rows["head"][1]) == int(places.is_seen[:, :2].any(dim=1).sum())


def test_parts_that_an_image_does_not_show_do_not_count(places: Places) -> None:
    values = torch.where(places.is_seen, 3.0, 1e6)
    found = _of(values, places, ("beak", "eye"))
    assert torch.equal(found, torch.full_like(found, 3.0))


def test_crops_that_are_the_same_differ_by_nothing(places: Places) -> None:
    lines = _parts(crops(0.2, 0.4), crops(0.2, 0.4), places)
    (row,) = (line for line in lines if line.startswith("| tail |"))
    assert row.split(" | ")[3] == row.split(" | ")[6] == "0.00 ± 0.00"
