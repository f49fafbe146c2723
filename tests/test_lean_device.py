"""Whole cells, and the layer with all its parts, on a device without float64 (`lean_device`)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stn.results.records import read_record

ROOT = Path(__file__).parents[1]
SMALL = ("data.module._target_=tests.small_mnist.SmallMnist", "packages=[tests]", "logger=csv")
CELLS = [
    ("fcn", "affine", "mnist_r"),
    ("cnn", "affine", "mnist_rts"),
    ("st_fcn", "projective", "mnist_p"),
    ("st_cnn", "tps", "mnist_e"),
    ("st_cnn", "piecewise_affine", "mnist_tc"),
]
PREPARED = """
import torch
from tests.lean_device import register
register()
"""
LAYER = """
from itertools import product
from stn.transformers import *
from stn.transformers.outlines import control_points, outline
from tests.transforms import TRANSFORMS

for transform, kernel in product(TRANSFORMS, KERNELS):
    localisation = ConvLocalisation((1, 28, 30), transform)
    layer = SpatialTransformer(localisation, transform, (9, 14), kernel).to("lean")
    U = torch.rand(2, 1, 28, 30).to("lean").requires_grad_()
    layer(U).sum().backward()
    assert U.grad.device.type == "lean", (transform, kernel)
    theta = layer.theta(U)
    outline(transform, theta), control_points(transform, theta)
    outside_fraction(transform.grid(theta, (5, 4)))
points = torch.rand(3, 4, 2) * 0.1 + torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])
points = points.to("lean")
Projective().grid(Projective.from_corners(points), (5, 6)).cpu()
ThinPlateSpline.from_points(points, points.flip(0), (5, 6)).cpu()
"""
REFUSALS = """
x = torch.ones(3).to("lean")
for refused, error in (
    (lambda: x.double(), TypeError),
    (lambda: torch.zeros(2, dtype=torch.float64, device="lean"), TypeError),
    (lambda: torch.ones(2, dtype=torch.float64).to("lean"), TypeError),
    (lambda: x + torch.ones(3), RuntimeError),
):
    try:
        refused()
    except error:
        continue
    raise AssertionError("this should be refused")
assert x.cpu().double().sum() == 3
"""


def run(*arguments: str) -> None:
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("script", [REFUSALS, LAYER], ids=["refusals", "layer"])
def test_the_device(script: str) -> None:
    run("-c", PREPARED + script)


def train(model: str, transform: str, data: str, runs: Path) -> Path:
    cell = [f"model={model}", f"transform={transform}", f"data={data}", "recipe=smoke", *SMALL]
    cell += ["recipe.max_steps=9", "recipe.batch_size=64", f"runs_dir={runs}"]
    run("-m", "tests.lean_device", "stn.train", *cell)
    (folder,) = runs.glob(f"{model}-*")
    return folder


@pytest.mark.parametrize(("model", "transform", "data"), CELLS)
def test_a_cell_trains_and_is_measured(
    model: str, transform: str, data: str, tmp_path: Path
) -> None:
    folder = train(model, transform, data, tmp_path)
    record = read_record(folder / "result.json")
    assert (record.status, record.num_test) == ("finished", 129)
    assert bool(list(folder.glob("panels/*.png"))) == model.startswith("st_")


def test_a_cell_goes_on_from_its_checkpoint_and_is_evaluated(tmp_path: Path) -> None:
    cell = ("st_fcn", "attention", "mnist_r", tmp_path)
    folder = train(*cell)
    record = read_record(folder / "result.json")
    (folder / "result.json").unlink()
    assert read_record(train(*cell) / "result.json").metrics == record.metrics
    run("-m", "tests.lean_device", "stn.evaluate", f"run={folder}", "packages=[tests]")
