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


def of_family(group: str, family: str) -> list[str]:
    """Names of models or data sets of a family, by how they begin; all others are MNIST's."""
    starts = {"svhn": "svhn", "cub": "cub", "addition": "addition", "parallel": "addition"}
    starts |= {"coloc": "colocalisation"}
    starts |= dict.fromkeys(("mnist3d", "cnn3d", "projection_cnn", "st_projection_cnn"), "mnist3d")
    found = {
        n: next((f for s, f in starts.items() if n.startswith(s)), "mnist") for n in names(group)
    }
    return [name for name in names(group) if found[name] == family]


def each_once(*lists: list[str]) -> list[tuple[str, ...]]:
    """Cases in which every item of every list stands, in two ways where lists are equally long."""
    num = max(map(len, lists)) + 1
    return [tuple(items[i % len(items)] for items in lists) for i in range(num)]


FAMILIES = ("mnist", "svhn", "cub", "addition", "mnist3d")
PAIRS = [p for f in FAMILIES for p in each_once(of_family("model", f), of_family("data", f))]
PAIRS += [("st_fcn", "addition")]


def test_there_are_no_yml_files() -> None:
    assert not list(CONF.rglob("*.yml"))


@pytest.mark.parametrize("group", ["model", "transform", "data", "recipe", "logger"])
def test_a_file_has_the_name_it_states(compose_train: Compose, group: str) -> None:
    assert names(group)
    for name in names(group):
        assert compose_train(f"{group}={name}")[group].name == name


@pytest.mark.parametrize(("model", "data"), PAIRS)
def test_every_model_takes_every_data_set_of_its_family(
    compose_train: Compose, model: str, data: str
) -> None:
    transform = "affine3d" if data in of_family("data", "mnist3d") else "affine"
    chosen = f"model={model}", f"data={data}", f"transform={transform}"
    cfg = compose_train(*chosen, "recipe=smoke")
    network = instantiate(cfg.model.network)
    U = torch.zeros(2, cfg.data.channels, *cfg.data.image_size)
    heads = [cfg.data.num_heads] if "num_heads" in cfg.data else []
    assert network(U).shape == (2, *heads, cfg.data.num_classes)
    datamodule = instantiate(cfg.data.module, batch_size=2, seed=0, data_dir=".")
    if data not in (*of_family("data", "svhn"), *of_family("data", "cub")):
        assert list(datamodule.distortion.size) == cfg.data.image_size
    else:
        assert [datamodule.crop, datamodule.crop] == cfg.data.image_size


@pytest.mark.parametrize(
    ("transform", "model"),
    each_once(sorted({*names("transform")} - {"affine3d"}), ["st_fcn", "st_cnn"]),
)
def test_every_transform_goes_into_every_st_network(
    compose_train: Compose, model: str, transform: str
) -> None:
    cfg = compose_train(f"model={model}", f"transform={transform}", "data=mnist_rts")
    network = instantiate(cfg.model.network)
    layer = instantiate(cfg.transform.layer)
    U = torch.rand(2, 1, 42, 42)
    assert network.transformer.theta(U).shape == (2, layer.num_params)
    assert network(U).shape == (2, 10)


@pytest.mark.parametrize("model", of_family("model", "mnist"))
def test_a_data_set_of_ones_own_gets_the_stated_budget_and_outputs_as_large_as_its_images(
    compose_train: Compose, model: str
) -> None:
    own = ("data.name=own", "data.image_size=[33,30]", "data.channels=3", "data.num_classes=4")
    cfg = compose_train(f"model={model}", *own)
    assert cfg.model.network.num_params == cfg.model.budgets.otherwise
    network = instantiate(cfg.model.network)
    assert network(torch.zeros(2, 3, 33, 30)).shape == (2, 4)
    if cfg.model.transform is not None:
        assert network.transformer.output_size == (33, 30)
        assert isinstance(network.pool, torch.nn.Identity)


@pytest.mark.parametrize("budgets", names("model/budgets"))
def test_every_column_of_table_1_has_a_budget_for_every_recipe(
    compose_train: Compose, budgets: str
) -> None:
    table = OmegaConf.load(CONF / "model/budgets" / f"{budgets}.yaml")
    others = {"addition", *of_family("data", "mnist3d"), "otherwise"}
    assert table.keys() == {*of_family("data", budgets), *others}
    for data in table.keys() - {"otherwise"}:
        assert table[data].keys() == {*names("recipe")}
    for data, recipe in each_once(sorted(table.keys() - {"otherwise"}), names("recipe")):
        model = "cnn3d" if data in others - {"addition"} else "cnn"
        cfg = compose_train(f"data={data}", f"recipe={recipe}", f"model={model}")
        assert cfg.model.network.num_params == table[data][recipe]


def test_settings_of_the_networks_are_overrides(compose_train: Compose) -> None:
    chosen = {
        "localisation": "{filters:4,kernel_size:3,hidden:7,downsample:1}",
        **{"kernel": "integer", "place": 1, "kernel_sizes": "[7,5]", "output_size": "[9,10]"},
    }
    build = [f"model.network.build.{key}={value}" for key, value in chosen.items()]
    network = instantiate(compose_train("model=st_cnn", *build).model.network)
    assert network.before[0].kernel_size == (7, 7)
    transformer = network.transformer
    assert (transformer.kernel, transformer.output_size) == ("integer", (9, 10))
    assert transformer.localisation.regression.in_features == 7
    cfg = compose_train("model=st_fcn", "model.network.build.localisation.hidden=[5,6]")
    assert instantiate(cfg.model.network).transformer.localisation.regression.in_features == 6


@pytest.mark.parametrize("trainer", names("trainer"))
def test_networks_are_fast_unless_told_otherwise(compose_train: Compose, trainer: str) -> None:
    assert compose_train(f"trainer={trainer}").trainer.fast is True


@pytest.mark.parametrize("task", names("task"))
def test_every_task_makes_a_loss_and_metrics(compose_train: Compose, task: str) -> None:
    data = {"house_numbers": "svhn", "accuracy": "cub", "classification": "mnist_r"}
    data |= {"colocalisation": "colocalisation_t"}
    cfg = compose_train(f"data={data[task]}").task
    assert cfg.name == task
    assert callable(instantiate(cfg.loss))
    assert cfg.metric in cfg.evaluators
    for evaluator in cfg.evaluators.values():
        instantiate(evaluator).reset()


@pytest.mark.parametrize("logger", names("logger"))
def test_every_logger_can_be_started(compose_train: Compose, logger: str) -> None:
    for loggers in compose_train(f"logger={logger}").logger.loggers:
        assert callable(instantiate(loggers))


@pytest.mark.parametrize(
    ("data", "recipe"),
    [
        (d, r)
        for f, d in (
            *(("mnist", "mnist_r"), ("svhn", "svhn"), ("cub", "cub"), ("mnist3d",) * 2),
            ("colocalisation", "colocalisation_t"),
        )
        for r in names(f"recipe/{f}")
    ],
)
def test_every_recipe_makes_an_optimiser_and_a_schedule(
    compose_train: Compose, data: str, recipe: str
) -> None:
    cfg = compose_train(f"data={data}", f"recipe={recipe}").recipe
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
    optimizer.step()  # once: the schedule asks no more
    rates = {}
    for step in range(150_000):
        rates[step] = scheduler.get_last_lr()[0]
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
