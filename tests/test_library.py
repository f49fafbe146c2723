"""docs/library.md is true: every piece of it runs by itself, and gives what it says."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision.ops import roi_align

from stn.running.cell import run_cell
from stn.transformers import Attention, affine_grid, sample

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/library.md").read_text()
BLOCKS = {
    title: re.findall(r"```python\n(.*?)```", body, re.DOTALL)
    for title, body in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)
}


def run(title: str) -> dict[str, Any]:
    """Execute the piece of a section, and return its names."""
    (source,) = (blocks[0] for name, blocks in BLOCKS.items() if title in name)
    torch.manual_seed(0)
    names: dict[str, Any] = {"__name__": "piece"}
    exec(compile(source, f"docs/library.md, {title}", "exec"), names)
    return names


def test_there_are_ten_uses() -> None:
    assert [title.split(".")[0] for title in BLOCKS] == [
        *map(str, range(1, 11)),
        "Beside the layer",
    ]
    assert all(BLOCKS.values())


def test_a_classifier_learns_with_its_localisation() -> None:
    names = run("A classifier")
    assert names["network"](names["U"]).shape == (8, 10)
    assert all(p.grad is not None for p in names["network"].parameters())


def test_crops_are_the_boxes() -> None:
    """Against a crop at a time, and torchvision's, whose samples are at centres of bins."""
    names = run("Crops of detected boxes")
    crops, theta, maps, boxes = (names[k] for k in ("crops", "theta", "maps", "boxes"))
    assert crops.shape == (2, 3, 64, 7, 7)
    for image in range(2):
        for box in range(3):
            one = sample(maps[image : image + 1], affine_grid(theta[image, box][None], (7, 7)))
            torch.testing.assert_close(crops[image, box], one[0])
            # The first and last bin's centre are the corners, where bins reach half a step beyond.
            left, top, right, bottom = boxes[image, box]
            step_x, step_y = (right - left) / 6, (bottom - top) / 6
            reach = [left - step_x / 2, top - step_y / 2, right + step_x / 2, bottom + step_y / 2]
            rois = [torch.stack(reach)[None]]
            aligned = roi_align(maps[image : image + 1], rois, (7, 7), 1.0, 1, aligned=False)
            inside = crops[image, box], aligned[0]
            torch.testing.assert_close(*inside, atol=1e-4, rtol=0)


def test_registration_finds_the_warp(capsys: pytest.CaptureFixture[str]) -> None:
    names = run("Registration")
    torch.testing.assert_close(names["theta"].detach(), names["hidden"], atol=0.01, rtol=0)
    assert "was" in capsys.readouterr().out


def test_mixed_precision_keeps_coordinates() -> None:
    names = run("Mixed precision")
    assert names["theta"].dtype == torch.float32
    assert names["layer"].localisation.regression.weight.grad.isfinite().all()


def test_a_spline_shows_the_landmarks_at_the_template() -> None:
    names = run("thin plate spline through points")
    assert names["aligned"].shape == (2, 3, 45, 35)
    read = sample(names["grid"].permute(0, 3, 1, 2), names["template"].expand(2, 1, -1, -1))
    torch.testing.assert_close(read[:, :, 0].mT, names["landmarks"], atol=0.01, rtol=0)


def test_glimpses_are_crops_of_the_image() -> None:
    names = run("Many boxes of one image")
    for theta, glimpse in zip(names["theta"], names["glimpses"], strict=True):
        one = sample(names["image"], Attention().grid(theta[None], (24, 32)))
        torch.testing.assert_close(glimpse, one[0])


def test_two_transformers_look_at_two_places() -> None:
    names = run("Two transformers in parallel")
    assert names["V"].shape == (4, 2, 20, 20)
    assert not torch.equal(names["V"][:, 0], names["V"][:, 1])


def test_ones_own_transform_starts_at_the_identity() -> None:
    names = run("A transform of your own")
    U = torch.rand(2, 3, 32, 40)
    assert torch.equal(names["layer"](U), U)


def test_the_exported_layer_takes_any_batch() -> None:
    names = run("Export")
    assert names["logits"].shape == (7, 10)
    U = torch.rand(3, 1, 28, 32)
    torch.testing.assert_close(names["program"].module()(U), names["network"](U))


def test_jacobians_are_those_of_each_sample() -> None:
    names = run("Functions over functions")
    for theta, U, found in zip(names["thetas"], names["images"], names["jacobians"], strict=True):
        expected = torch.autograd.functional.jacobian(lambda t, U=U: names["warped"](t, U), theta)
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


def test_digits_and_network_in_two_lines(
    make_cell, distorted_mnist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = make_cell("model=st_fcn", "recipe.max_steps=2")
    run_cell(cell)
    (tmp_path / "runs/my-run").symlink_to(cell.folder)
    monkeypatch.chdir(tmp_path)
    assert 0 <= run("Beside the layer")["wrong"] <= 150
    names: dict[str, Any] = {}
    exec(BLOCKS["Beside the layer"][1], names)
    assert names["network"](torch.rand(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize("command", [["check", "--ignore", "D"], ["format", "--check", "--diff"]])
def test_the_code_is_clean(command: list[str], tmp_path: Path) -> None:
    for title, blocks in BLOCKS.items():
        for i, block in enumerate(blocks):
            (tmp_path / f"{re.sub(r'[^a-z]', '_', title.lower())}_{i}.py").write_text(block)
    ruff = [sys.executable, "-m", "ruff", *command, "--config", str(ROOT / "pyproject.toml")]
    done = subprocess.run([*ruff, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
