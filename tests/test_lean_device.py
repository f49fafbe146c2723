"""Whole cells, and the layer with all its parts, on a device without float64 (`lean_device`)."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stn.results.records import read_record

ROOT = Path(__file__).parents[1]
SMALL = ("data.module._target_=tests.small_mnist.SmallMnist", "packages=[tests]", "logger=csv")
SWEEPS = [  # every network, every distortion, and the families of warps with a code of their own
    ("model=fcn,cnn,st_cnn", "transform=tps", "data=mnist_r,mnist_e"),
    ("model=st_fcn", "transform=affine,projective,piecewise_affine", "data=mnist_rts,mnist_p"),
    ("model=st_cnn", "transform=similarity", "data=mnist_tc"),
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


def train(runs: Path, *overrides: str) -> list[Path]:
    cell = [*overrides, "recipe=smoke", *SMALL, "recipe.max_steps=2", "recipe.batch_size=16"]
    run("-m", "tests.lean_device", "stn.train", *cell, f"runs_dir={runs}")
    return [path.parent for path in runs.glob("*/result.json")]


@pytest.mark.parametrize("sweep", SWEEPS, ids=" ".join)
def test_cells_train_and_are_measured(sweep: tuple[str, ...], tmp_path: Path) -> None:
    folders = train(tmp_path, "-m", *sweep)
    assert len(folders) == math.prod(1 + overrides.count(",") for overrides in sweep)
    for folder in folders:
        record = read_record(folder / "result.json")
        assert (record.status, record.num_test) == ("finished", 129)
        assert bool(list(folder.glob("panels/*.png"))) == folder.name.startswith("st_")


def test_a_cell_goes_on_from_its_checkpoint_and_is_evaluated(tmp_path: Path) -> None:
    cell = ("model=st_fcn", "transform=attention", "data=mnist_r")
    (folder,) = train(tmp_path, *cell)
    record = read_record(folder / "result.json")
    (folder / "result.json").unlink()
    train(tmp_path, *cell)
    assert read_record(folder / "result.json").metrics == record.metrics
    run("-m", "tests.lean_device", "stn.evaluate", f"run={folder}", "packages=[tests]")
