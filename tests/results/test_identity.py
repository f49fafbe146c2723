import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from stn.results.identity import cell_id, run_id

Compose = Callable[..., DictConfig]


@pytest.fixture
def name(compose_train: Compose) -> Callable[..., str]:
    def name_of(*overrides: str) -> str:
        config: Any = OmegaConf.to_container(compose_train(*overrides), resolve=True)
        return cell_id(config)

    return name_of


def test_the_name_can_be_read(name: Callable[..., str]) -> None:
    full = name("model=st_cnn", "transform=tps", "data=mnist_e", "recipe=fast", "seed=3")
    assert full.startswith("st_cnn-tps-mnist_e-fast-s3-")


def test_a_network_without_a_transformer_has_no_transform(name: Callable[..., str]) -> None:
    assert name("model=cnn", "transform=tps") == name("model=cnn", "transform=affine")
    assert name("model=st_cnn", "transform=tps") != name("model=st_cnn", "transform=affine")


@pytest.mark.parametrize(
    "override",
    [
        "logger=csv",
        "data_dir=elsewhere",
        "runs_dir=elsewhere",
        "trainer.threads=2",
        "trainer.fast=false",
        "recipe.channels_last=true",
        "recipe.precision=32-true",
        "model.budgets.mnist_p.quick=100_000",
        "recipe.watch.panels_every_n_epochs=7",
        "retry=failed",
        "+table=table1",
    ],
)
def test_what_changes_no_result_does_not_enter(name: Callable[..., str], override: str) -> None:
    assert name(override) == name()


@pytest.mark.parametrize(
    "override",
    [
        "seed=1",
        "model=st_fcn",
        "model.network.width=50",
        "data=mnist_p",
        "model.network.num_params=400_000",
        "data.module.data_seed=1",
        "data.module.distortion.max_deg=45",
        "recipe.optimizer.lr=1",
        "recipe.batch_size=255",
        "recipe.max_steps=9",
        "recipe.averaging=null",
        "recipe.localisation_lr_factor=0.1",
        "recipe.label_smoothing=0.1",
        "recipe.precision=bf16-mixed",
        "+anything.else=1",
    ],
)
def test_what_changes_the_result_enters(name: Callable[..., str], override: str) -> None:
    assert name(override) != name()


def test_recipes_differ_by_what_they_do(name: Callable[..., str]) -> None:
    hashes = {name(f"recipe={r}").rpartition("-")[2] for r in ("smoke", "quick", "fast", "paper")}
    assert len(hashes) == 4


def test_run_id_depends_on_content_only() -> None:
    one = run_id(["cnn", "mnist_r", "s0"], {"a": 1, "b": {"lr": 0.001, "x": [1, 2]}})
    same = run_id(["cnn", "mnist_r", "s0"], {"b": {"x": (1.0, 2), "lr": 1e-3}, "a": 1.0})
    other = run_id(["cnn", "mnist_r", "s0"], {"a": 1, "b": {"lr": 0.002, "x": [1, 2]}})
    assert one == same != other
    assert one.startswith("cnn-mnist_r-s0-")
    assert len(one.rsplit("-", 1)[1]) == 10


def test_run_id_is_stable() -> None:
    # hashlib.sha256(b'{"seed":0}').hexdigest()[:10]
    assert run_id(["a b/c"], {"seed": 0}) == "a_b_c-bd04888434"


@pytest.mark.parametrize("value", [math.nan, object(), Path("x")])
def test_run_id_refuses_what_json_cannot_say(value: Any) -> None:
    with pytest.raises(ValueError, match="plain JSON"):
        run_id(["a"], {"value": value})
