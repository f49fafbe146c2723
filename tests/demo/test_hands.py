"""What a hand can do keeps to what the training does: hands.js against the configuration."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

import stn.demo
from stn.configuration import CONF

PAGE = Path(stn.demo.__file__).with_name("page")
TRIES = 60
BAND_PX = 3
SCRIPT = f"""
import {{ HANDS }} from "./hands.js";
const {{ kind, distortion, side }} = GIVEN;
const digits = [5, 7].map((a) => Float32Array.from({{ length: 784 }}, (_, i) => (a * i) % 256));
const hand = HANDS[kind](distortion, side, digits);
const far = () => (Math.random() - 0.5) * 4 * side;
const states = [hand.start, hand.neutral];
for (let i = 0; i < {TRIES}; i++) {{
  const state = hand.any();
  const handle = Math.floor(Math.random() * hand.handles(state).length);
  states.push(state, hand.drag(state, handle, [far(), far()]));
}}
const told = states.map((state) => ({{
  state,
  handles: hand.handles(state),
  lines: hand.lines(state),
  digit: hand.handles(state).map(hand.toDigit(state)),
  same: hand.handles(state).map((point, i) => hand.handles(hand.drag(state, i, point))),
}}));
console.log(JSON.stringify(told));
"""


def told(name: str, side: int, tmp_path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The distortion of a data set, and what its hand says of states at random and dragged ones."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    config = OmegaConf.create({"data": OmegaConf.load(CONF / f"data/{name}.yaml")})
    config.data.image_size = [side, side]
    distortion: Any = OmegaConf.to_container(config.data.module.distortion, resolve=True)
    kind = distortion.pop("_target_").rpartition(".")[2]
    for path in PAGE.glob("*.js"):
        shutil.copy(path, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    given = json.dumps({"kind": kind, "distortion": distortion, "side": side})
    (tmp_path / "script.js").write_text(SCRIPT.replace("GIVEN", given))
    done = subprocess.run([node, "script.js"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return distortion, json.loads(done.stdout)


@pytest.mark.parametrize(
    ("name", "side"),
    [
        *(("mnist_r", 28), ("mnist_rts", 42), ("mnist_p", 28), ("mnist_e", 31)),
        *(("mnist_tc", 60), ("mnist_tc", 61), ("mnist", 28)),
    ],
)
def test_handles_can_be_reached_and_stay_where_they_are_put(
    name: str, side: int, tmp_path: Path
) -> None:
    for at in told(name, side, tmp_path)[1]:
        assert all(abs(v) <= side / 2 + BAND_PX for point in at["handles"] for v in point)
        for again in at["same"]:  # taken to where it is, a handle changes nothing
            for point, wanted in zip(again, at["handles"], strict=True):
                assert point == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(("name", "side"), [("mnist_r", 28), ("mnist_rts", 42), ("mnist_rts", 45)])
def test_turns_scales_and_places_are_those_of_the_training(
    name: str, side: int, tmp_path: Path
) -> None:
    distortion, states = told(name, side, tmp_path)
    for at in states:
        state = {"scale": 1, "x": 0, "y": 0} | at["state"]
        low, high = distortion.get("scale_range", (1, 1))
        room = (side - 28 * state["scale"]) / 2 + 1e-9
        assert abs(state["angle"]) <= distortion["max_deg"]
        assert low <= state["scale"] <= high
        assert max(abs(state["x"]), abs(state["y"])) <= room
        assert at["digit"][0] == pytest.approx([0, -13.5])  # the handle is above the digit
        assert at["digit"][1:] in ([], [pytest.approx([0, 0], abs=1e-9)])  # and in its middle


def test_corners_stay_convex_and_carry_the_digits_corners(tmp_path: Path) -> None:
    _, states = told("mnist_p", 28, tmp_path)
    square = [[-13.5, -13.5], [13.5, -13.5], [13.5, 13.5], [-13.5, 13.5]]
    for at in states:
        for point, corner in zip(at["digit"], square, strict=True):
            assert point == pytest.approx(corner, abs=1e-6)


def test_control_points_move_no_further_than_draws(tmp_path: Path) -> None:
    distortion, states = told("mnist_e", 31, tmp_path)
    low, high = distortion["scale_range"]
    for at in states:
        assert low <= at["state"]["scale"] <= high
        moves = [abs(v) for move in at["state"]["moves"] for v in move]
        assert max(moves) <= 3 * distortion["point_px"]
        assert len(at["lines"]) == sum(distortion["points"])


@pytest.mark.parametrize("side", [60, 61])
def test_digit_and_patches_are_where_the_training_puts_them(side: int, tmp_path: Path) -> None:
    distortion, states = told("mnist_tc", side, tmp_path)
    width, sources = distortion["patch_px"], [[a * i % 256 for i in range(784)] for a in (5, 7)]
    for at in states:
        corner = [at["state"][axis] + (side - 28) / 2 for axis in "xy"]
        assert all(0 <= place == round(place) <= side - 28 for place in corner)
        for patch in at["state"]["patches"]:
            assert all(0 <= patch[edge] <= side - width for edge in ("left", "top"))
            rows = [patch["pixels"][i : i + width] for i in range(0, width**2, width)]
            assert any(  # a window of a digit
                all(row == digit[i + 28 * y : i + 28 * y + width] for y, row in enumerate(rows))
                for digit in sources
                for i in range(784)
                if i % 28 <= 28 - width
            )
    assert states[1]["state"]["patches"] == []  # the neutral one
    assert {len(at["state"]["patches"]) for at in states} == {0, distortion["num_patches"]}


def test_of_undistorted_digits_it_is_said_that_turned_ones_are_new(tmp_path: Path) -> None:
    _, states = told("mnist", 28, tmp_path)
    assert states[0]["state"] == states[1]["state"] == {"angle": 0}
    assert max(abs(at["state"]["angle"]) for at in states) <= 90
