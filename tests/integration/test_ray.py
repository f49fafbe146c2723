"""A sweep with Ray, which the launcher starts on this machine."""

import importlib.util
from pathlib import Path

import pytest

from stn.results.collect import collect
from tests.sweeps import run, same, weights

NEEDED = ("ray", "hydra_plugins.hydra_ray_launcher")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(bool(MISSING), reason=f"no {MISSING}: see CONTRIBUTING.md"),
]


def test_a_sweep_of_three_cells_one_of_which_fails(tmp_path: Path) -> None:
    sweep = ["recipe.optimizer.lr=1e-3,1e30,2e-3", "recipe.max_steps=12"]
    code, said = run(tmp_path / "ray", "hydra/launcher=ray", *sweep)
    print(said)
    assert code == 1
    assert "1 of 3 cells failed:" in said
    assert "DivergedError: the loss became" in said
    records = collect(tmp_path / "ray").records
    assert sorted(record.status for record in records) == ["diverged", "finished", "finished"]

    run(tmp_path / "here", *sweep)
    assert same(weights(tmp_path / "ray"), weights(tmp_path / "here"))
