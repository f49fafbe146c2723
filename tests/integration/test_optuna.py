"""A search with Optuna, which must not look at the test set."""

import importlib.util
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tests.sweeps import run

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        importlib.util.find_spec("hydra_plugins.hydra_optuna_sweeper") is None,
        reason="no hydra-optuna-sweeper: see CONTRIBUTING.md",
    ),
]


def test_three_trials_find_a_learning_rate(tmp_path: Path) -> None:
    search = ["hydra/sweeper=optuna", "+tuning=localisation_lr", "hydra.sweeper.n_trials=3"]
    code, said = run(tmp_path, *search, "model=st_fcn", "recipe.max_steps=10")
    print(said)
    assert code == 0
    assert said.count("validation error") == 3
    best = OmegaConf.load(tmp_path / "tuning/optimization_results.yaml")
    assert 0.01 <= best.best_params["recipe.localisation_lr_factor"] <= 10
    assert not list(tmp_path.rglob("result.json"))
    metrics = [path.read_text() for path in tmp_path.rglob("metrics.csv")]
    assert len(metrics) == 3
    assert not any("test_error" in text for text in metrics)


def test_a_search_that_would_look_at_the_test_set_is_refused(tmp_path: Path) -> None:
    code, said = run(tmp_path, "hydra/sweeper=optuna", "seed=0,1", "hydra.sweeper.n_trials=1")
    assert code != 0
    assert "a search must leave the test set alone" in said
    assert not list(tmp_path.rglob("metrics.csv"))
