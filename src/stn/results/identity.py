"""The identity of a cell: a readable name and a hash of all that changes its result."""

from collections.abc import Mapping
from typing import Any

from stn.results.records import run_id

NOT_DECISIVE = ("name", "watch", "paper_steps")  # of a recipe: what changes no result


def cell_id(config: Mapping[str, Any]) -> str:
    """Name a cell after its resolved configuration.

    Where files lie, what is logged and how a sweep is run do not enter. Neither does the
    transform of a network that has none: `model=cnn transform=tps` is `model=cnn`.

    Raises:
        ValueError: the seed is no whole number from 0 up.
    """
    model, data, recipe = config["model"], config["data"], config["recipe"]
    if type(config["seed"]) is not int or config["seed"] < 0:
        raise ValueError(f"seed must be a whole number from 0 up, not {config['seed']!r}")
    uses_transform = "transform" in model["network"]["build"]
    name = [model["name"], *([config["transform"]["name"]] if uses_transform else [])]
    name += [data["name"], recipe["name"], f"s{config['seed']}"]
    identity = {
        "network": model["network"],
        "data": {k: v for k, v in data["module"].items() if k != "data_dir"},
        "recipe": {k: v for k, v in recipe.items() if k not in NOT_DECISIVE},
        "seed": config["seed"],
    }
    return run_id(name, identity)
