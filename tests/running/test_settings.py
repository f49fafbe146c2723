from collections.abc import Callable
from copy import deepcopy
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from stn.running.settings import NoRecipeError, check


@pytest.fixture(scope="session")
def plain(compose_train: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    def compose(*overrides: str) -> dict[str, Any]:
        return OmegaConf.to_container(compose_train(*overrides), resolve=True)  # type: ignore[return-value]

    return compose


NUMBERS = {  # each with a value below its range
    "seed": -1,
    "trainer.threads": 0,
    "trainer.devices": 0,
    "recipe.batch_size": 0,
    "recipe.max_steps": 0,
    "recipe.localisation_lr_factor": -0.1,
    "recipe.label_smoothing": -0.1,
    "recipe.averaging.decay": -0.1,
    "recipe.watch.log_every_n_steps": 0,
    "recipe.watch.val_every_n_epochs": 0,
    "recipe.watch.panels_every_n_epochs": 0,
}


def changed(config: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    config = deepcopy(config)
    *parents, last = key.split(".")
    place = config
    for parent in parents:
        place = place[parent]
    place[last] = value
    return config


@pytest.mark.parametrize("key", NUMBERS)
@pytest.mark.parametrize("value", ["abc", None, [], {}, True, float("nan"), float("inf")])
def test_a_number_is_a_number(plain, key: str, value: Any) -> None:
    config = plain("recipe=quick")
    check(config)
    with pytest.raises(ValueError, match=rf"^{key}: .*, found "):
        check(changed(config, key, value))
    with pytest.raises(ValueError, match=rf"^{key}: .*, found -?0"):
        check(changed(config, key, NUMBERS[key] if NUMBERS[key] != -1 else -0.5))


@settings(deadline=None, max_examples=25)
@given(surplus=st.from_regex(r"[a-z][a-z_]{0,9}", fullmatch=True), value=st.integers())
def test_no_key_beside_those_there_are(plain, surplus: str, value: int) -> None:
    config = plain()
    for place in ("recipe", "trainer", "logger", "recipe.watch", None):
        key = f"{place}.{surplus}" if place else surplus
        there = config if place is None else OmegaConf.select(OmegaConf.create(config), place)
        if surplus not in there:
            with pytest.raises(ValueError, match=r"there is no such key|nothing reads"):
                check(changed(config, key, value), [f"+{key}={value}"])
    for place in ("data", "model", "task", "transform"):
        if surplus not in config[place]:
            extended = changed(config, f"{place}.{surplus}", value)
            check(extended)  # a file in conf/ may have it
            with pytest.raises(ValueError, match=rf"\+{place}\.{surplus}: nothing reads this key"):
                check(extended, [f"+{place}.{surplus}={value}"])


@pytest.mark.parametrize(
    "override",
    ["+table=table1", "+tuning=localisation_lr", "+recipe.optimizer.amsgrad=true", "++seed=4"],
)
def test_what_is_read_may_be_added(plain, override: str) -> None:
    check(plain(), [override])


@pytest.mark.parametrize("key", ["model", "data", "task", "recipe", "trainer", "logger", "seed"])
def test_nothing_is_left_out(plain, key: str) -> None:
    config = plain()
    del config[key]
    with pytest.raises(ValueError, match=rf"^{key}: is missing"):
        check(config)


FOLDERS = "data_dir", "runs_dir", "reports_dir"
BUILT = "model.network", "data.module", "task.loss", "recipe.optimizer", "recipe.scheduler"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *product(FOLDERS, ["", " ", "~/runs", "~", "a\0b", 3, None]),
        *product(BUILT, [None, 1, {}, {"_target_": 3}]),
    ],
)
def test_folders_are_written_out_and_what_is_built_says_of_what(
    plain, key: str, value: Any
) -> None:
    with pytest.raises(ValueError, match=rf"^{key}: "):
        check(changed(plain(), key, value))


@pytest.mark.parametrize("seed", [-1, 1.5, True, "0", None])
def test_the_seed_of_data_is_a_whole_number(plain, seed: Any) -> None:
    with pytest.raises(ValueError, match=r"^data\.module: .*data_seed: expected a whole number"):
        check(changed(plain(), "data.module.data_seed", seed))


def test_devices_share_every_batch(plain) -> None:
    config = changed(plain(), "recipe.batch_size", 64)
    check(changed(config, "trainer.devices", 4))
    with pytest.raises(ValueError, match="64 is not divisible by 3 devices"):
        check(changed(config, "trainer.devices", 3))


def test_the_metric_of_a_task_is_one_that_it_measures(plain) -> None:
    with pytest.raises(ValueError, match=r"^task: .*metric loss is none of its evaluators"):
        check(changed(plain(), "task.metric", "loss"))


def test_a_recipe_that_a_data_set_does_not_have(plain) -> None:
    config = plain()
    config["recipe"] = {"name": "slow"}
    with pytest.raises(NoRecipeError, match="there is no recipe slow for data=mnist_r"):
        check(config)


def test_what_a_record_would_refuse_is_refused_before_the_first_step(plain) -> None:
    config = plain()
    with pytest.raises(ValueError, match="control character"):
        check(config | {"data": config["data"] | {"note": "\u202e"}})
    with pytest.raises(ValueError, match="should match pattern"):
        check(config, ["seed=0", "packages=[\x1b]"])


def test_a_recipe_need_not_say_whether_labels_are_smoothed(compose_train) -> None:
    config = OmegaConf.to_container(compose_train("~recipe.label_smoothing"), resolve=True)
    check(config)
    assert config["task"]["loss"]["label_smoothing"] == 0


@pytest.mark.parametrize("key", ["runs_dir", "data_dir", "reports_dir"])
@pytest.mark.parametrize("below", ["", "/deep/down"])
def test_a_link_that_leads_nowhere_is_named(
    plain: Callable[..., dict[str, Any]], tmp_path: Path, key: str, below: str
) -> None:
    link, place = tmp_path / "link", tmp_path / "place"
    link.symlink_to(place)
    config = changed(plain("recipe=quick"), key, f"{link}{below}")
    with pytest.raises(ValueError, match=f"^{key}: {link} is a link to {place}, where nothing is"):
        check(config)
    place.mkdir()
    check(config)
