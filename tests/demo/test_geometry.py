"""The page distorts a digit as the training does: geometry.js against stn.data.distortions."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import stn.demo
from stn.data.distortions import (
    DIGIT_PX,
    Clutter,
    ElasticDistortion,
    ProjectiveDistortion,
    Rotate,
    RotateTranslateScale,
)
from stn.data.randomness import normal, uniform

GEOMETRY = Path(stn.demo.__file__).with_name("page") / "geometry.js"
KEY, NUM = 7, 12
INDEX = torch.arange(NUM)
POOL = torch.randint(256, (NUM, 1, DIGIT_PX, DIGIT_PX), generator=torch.Generator().manual_seed(0))
POOL = POOL.to(torch.uint8)


def in_node(call: str, given: Any) -> Any:
    """What an expression of JavaScript makes of `given`, with the functions of geometry.js."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    script = f"{GEOMETRY.read_text()}\nconst given = {json.dumps(given)};\n"
    script += f"console.log(JSON.stringify({call}));"
    done = subprocess.run(
        [node, "--input-type=module", "-"], input=script, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def on_the_page(to_digit: str, parameters: list[dict[str, Any]], side: int) -> Tensor:
    """Images (N, 1, side, side) of the digits under a distortion of geometry.js."""
    digits = (POOL.flatten(1) / 255).tolist()
    half = (side - 1) / 2
    call = f"given.map(([digit, p]) => Array.from(distorted(digit, {to_digit}, {side})))"
    images = in_node(
        call.replace("HALF_IMAGE", str(half)), list(zip(digits, parameters, strict=True))
    )
    return torch.tensor(images).view(-1, 1, side, side)


def named(**columns: Tensor) -> list[dict[str, Any]]:
    """One dictionary for each row of some columns."""
    lists = [column.tolist() for column in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]


def assert_alike(found: Tensor, wanted: Tensor) -> None:
    assert wanted.flatten(1).std(1).min() > 0.05  # there is something to be seen
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)


@pytest.mark.parametrize("side", [28, 33])
def test_rotation(side: int) -> None:
    angle = 180 * uniform(KEY, INDEX, 1)[:, 0] - 90
    wanted = Rotate(max_deg=90, size=(side, side))(POOL, INDEX, KEY)
    assert_alike(on_the_page("similarity(p)", named(angle=angle), side), wanted)


@pytest.mark.parametrize("side", [42, 45])
def test_rotation_translation_and_scale(side: int) -> None:
    draws = uniform(KEY, INDEX, 4)
    scale = 0.7 + 0.5 * draws[:, 1]
    x, y = ((side - DIGIT_PX * scale).clamp(min=0) * (draws[:, i] - 0.5) for i in (2, 3))
    parameters = named(angle=90 * draws[:, 0] - 45, scale=scale, x=x, y=y)
    distortion = RotateTranslateScale(max_deg=45, scale_range=[0.7, 1.2], size=(side, side))
    assert_alike(on_the_page("similarity(p)", parameters, side), distortion(POOL, INDEX, KEY))


@pytest.mark.parametrize("side", [28, 31])
def test_projection(side: int) -> None:
    distortion = ProjectiveDistortion(
        scale_range=[0.75, 1.0], corner_px=3, min_area=0.1, frame=None, size=(side, side)
    )
    corners = distortion.corners(INDEX, KEY)
    found = on_the_page("projection(p.corners)", named(corners=corners), side)
    assert_alike(found, distortion(POOL, INDEX, KEY))
    assert all(in_node("given.map((c) => isConvex(c, 0))", corners.tolist()))
    folded = corners[:, [1, 0, 2, 3]].tolist()
    assert not any(in_node("given.map((c) => isConvex(c, 0))", folded))


def test_how_far_corners_may_fold() -> None:
    square = [[-9, -9], [9, -9], [9, 9], [-9, 9]]
    areas = "[18 * 18 - 1, 18 * 18 + 1]"  # a triangle of half the square, twice: a cross product
    assert in_node(f"{areas}.map((least) => isConvex(given, least))", square) == [True, False]


@pytest.mark.parametrize(("side", "points"), [(28, (4, 4)), (31, (3, 5))])
def test_elastic_distortion(side: int, points: tuple[int, int]) -> None:
    distortion = ElasticDistortion(
        scale_range=[0.75, 1.0],
        points=points,
        point_px=1.5,
        spline="to_image",
        size=(side, side),
    )
    num = points[0] * points[1]
    moves = 1.5 * normal(KEY, INDEX, 2 * num).view(-1, num, 2)
    scale = 0.75 + 0.25 * uniform(~KEY, INDEX, 1)[:, 0]
    call = f"spline({{ points: regular({[*points]}, HALF_IMAGE), ...p }}, HALF_IMAGE)"
    found = on_the_page(call, named(moves=moves, scale=scale), side)
    assert_alike(found, distortion(POOL, INDEX, KEY))


@pytest.mark.parametrize("side", [60, 45])
def test_clutter(side: int) -> None:
    num, width = 4, 6
    distortion = Clutter(num_patches=num, patch_px=width, overlap="add", size=(side, side))
    digit_at, cut_from, patch_at = (
        pixels.view(NUM, -1, square)
        for pixels, square in zip(
            distortion._pixels(len(POOL), INDEX, KEY),
            (DIGIT_PX**2, width**2, width**2),
            strict=True,
        )
    )
    first = torch.stack([digit_at[:, 0, 0] % side**2 % side, digit_at[:, 0, 0] % side**2 // side])
    x, y = first - (side - DIGIT_PX) / 2
    patches = [
        [
            {"pixels": (POOL.flatten()[cut] / 255).tolist(), "left": at % side, "top": at // side}
            for cut, at in zip(cuts, (places[:, 0] % side**2).tolist(), strict=True)
        ]
        for cuts, places in zip(cut_from, patch_at, strict=True)
    ]
    given = [
        [digit, {**place, "patches": of_image}]
        for digit, place, of_image in zip(
            (POOL.flatten(1) / 255).tolist(), named(x=x, y=y, angle=0 * x), patches, strict=True
        )
    ]
    digit = f"distorted(digit, similarity(p), {side})"
    call = f"given.map(([digit, p]) => Array.from(cluttered({digit}, p.patches, {side})))"
    found = torch.tensor(in_node(call, given)).view(-1, 1, side, side)
    assert_alike(found, distortion(POOL, INDEX, KEY))


def test_a_similarity_is_found_again_in_what_it_moves() -> None:
    given = {"angle": 33.0, "scale": 0.8, "x": 3.0, "y": -5.0}
    upright = [[-4, 3], [7, 2], [1, -9], [-6, -6]]
    call = "nearestSimilarity(given[1].map((d) => [d, placed(d, given[0])]))"
    found = in_node(call, [given, upright])
    assert found == pytest.approx(given)
    there_and_back = "given[1].map((d) => similarity(given[0])(placed(d, given[0])))"
    np.testing.assert_allclose(in_node(there_and_back, [given, upright]), upright, atol=1e-12)
