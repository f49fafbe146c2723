"""Every YAML is composed and what it describes is built."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from stn.running.building import instantiate

CONF = Path(__file__).parents[1] / "conf"
Compose = Callable[..., DictConfig]


def names(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def test_there_are_no_yml_files() -> None:
    assert not list(CONF.rglob("*.yml"))


@pytest.mark.parametrize("group", ["model", "transform", "data", "recipe", "logger"])
def test_a_file_has_the_name_it_states(compose_train: Compose, group: str) -> None:
    assert names(group)
    for name in names(group):
        assert compose_train(f"{group}={name}")[group].name == name


@pytest.mark.parametrize("model", names("model"))
@pytest.mark.parametrize("data", names("data"))
def test_every_model_takes_every_data_set(compose_train: Compose, model: str, data: str) -> None:
    cfg = compose_train(f"model={model}", f"data={data}")
    network = instantiate(cfg.model.network)
    assert network(torch.zeros(2, 1, *cfg.data.image_size)).shape == (2, 10)
    datamodule = instantiate(cfg.data.module)
    assert list(datamodule.distortion.size) == cfg.data.image_size


@pytest.mark.parametrize("transform", names("transform"))
@pytest.mark.parametrize("model", ["st_fcn", "st_cnn"])
def test_every_transform_goes_into_every_st_network(
    compose_train: Compose, model: str, transform: str
) -> None:
    cfg = compose_train(f"model={model}", f"transform={transform}", "data=mnist_rts")
    network = instantiate(cfg.model.network)
    layer = instantiate(cfg.transform.layer)
    U = torch.rand(2, 1, 42, 42)
    assert network.transformer.theta(U).shape == (2, layer.num_params)
    assert network(U).shape == (2, 10)


@pytest.mark.parametrize("recipe", names("recipe"))
def test_every_recipe_makes_an_optimiser_and_a_schedule(
    compose_train: Compose, recipe: str
) -> None:
    cfg = compose_train(f"recipe={recipe}").recipe
    optimizer = instantiate(cfg.optimizer)([torch.zeros(1, requires_grad=True)])
    scheduler = instantiate(cfg.scheduler)(optimizer)
    assert scheduler.get_last_lr()[0] > 0
    assert cfg.max_steps > 0


def test_the_paper_recipe_is_the_papers(compose_train: Compose) -> None:
    cfg = compose_train("recipe=paper").recipe
    assert (cfg.max_steps, cfg.batch_size, cfg.optimizer.lr) == (150_000, 256, 0.01)
    optimizer = instantiate(cfg.optimizer)([torch.zeros(1, requires_grad=True)])
    assert isinstance(optimizer, torch.optim.SGD)
    assert optimizer.defaults["weight_decay"] == 0
    scheduler = instantiate(cfg.scheduler)(optimizer)
    rates = {}
    for step in range(150_000):
        rates[step] = scheduler.get_last_lr()[0]
        optimizer.step()
        scheduler.step()
    assert [rates[s] for s in (0, 49_999, 50_000, 99_999, 100_000, 149_999)] == pytest.approx(
        [0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001]
    )


@pytest.mark.parametrize("launcher", ["basic", "joblib", "submitit_local", "submitit_slurm"])
def test_launchers_are_there(compose_train: Compose, launcher: str) -> None:
    compose_train(f"hydra/launcher={launcher}")


@pytest.mark.parametrize("tuning", names("tuning"))
def test_a_search_leaves_the_test_set_alone(compose_train: Compose, tuning: str) -> None:
    text = (CONF / "tuning" / f"{tuning}.yaml").read_text()
    assert OmegaConf.create(text).tune is True
    assert compose_train().tune is False
