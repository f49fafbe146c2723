"""Whole cells, and the layer with all its parts, on a device without float64 (`lean_device`)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stn.results.records import read_record

ROOT = Path(__file__).parents[1]
PREPARED = """
import sys
from pathlib import Path
import torch
from stn import evaluate, train
from tests.lean_device import register
register()
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
LAYER = """
from stn.transformers import *
from stn.transformers.outlines import control_points, outline
from tests.transforms import TRANSFORMS

for transform, kernel in [(t, "bilinear") for t in TRANSFORMS] + [(Affine(), k) for k in KERNELS]:
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
CELLS = """
SMALL = ["data.module._target_=tests.small_mnist.SmallMnist", "packages=[tests]", "logger=csv"]
SMALL += ["recipe=smoke", "recipe.max_steps=2", "recipe.batch_size=16", "runs_dir=RUNS"]
for cell in (  # every network, every distortion, and families of warps with a code of their own
    "model=fcn data=mnist_r",
    "model=cnn data=mnist_e",
    "model=st_cnn transform=tps data=mnist_tc",
    "model=st_cnn transform=piecewise_affine data=mnist_rts",
    "model=st_fcn transform=projective data=mnist_p",
):
    sys.argv = ["train", *cell.split(), *SMALL]
    train.main()
(folder,) = Path("RUNS").glob("st_fcn-*")
(folder / "result.json").rename(folder / "first.json")
train.main()  # goes on from the last checkpoint
sys.argv = ["evaluate", f"run={folder}", "packages=[tests]"]
evaluate.main()
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Do it all in one process, whose last words say what failed; return the folder of its runs."""
    runs = tmp_path_factory.mktemp("lean") / "runs"
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "OMP_NUM_THREADS": "1"}
    script = PREPARED + REFUSALS + LAYER + CELLS.replace("RUNS", str(runs))
    command = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return runs


def test_cells_train_and_are_measured(runs: Path) -> None:
    folders = [path.parent for path in runs.glob("*/result.json")]
    assert len(folders) == 5
    for folder in folders:
        record = read_record(folder / "result.json")
        assert (record.status, record.num_test) == ("finished", 129)
        assert bool(list(folder.glob("panels/*.png"))) == folder.name.startswith("st_")


def test_a_cell_goes_on_from_its_checkpoint(runs: Path) -> None:
    (first,) = runs.glob("*/first.json")
    again = read_record(first.with_name("result.json"))
    assert again.metrics == read_record(first).metrics
    assert again.started_at != read_record(first).started_at
