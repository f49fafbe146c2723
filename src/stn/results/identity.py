"""The identity of a cell: a readable name and a hash of all that changes its result."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

OF_A_SWEEP = ("table", "study")  # what a cell is run for: keys of its configuration

# What changes no result, by its place in the configuration. All else does, and enters the hash.
# What a network takes of transform, budgets and sizes stands, resolved, in `model.network`.
HARMLESS = frozenset(
    {
        "data_dir",
        "logger",
        "packages",
        "reports_dir",
        "retry",
        "runs_dir",
        *OF_A_SWEEP,
        "trainer",
        "transform",
        "tune",
        "data.label",
        "data.module.recompose.fonts",
        "data.name",
        "data.size",
        "data.sizes",
        "model.budget",
        "model.budgets",
        "model.label",
        "model.name",
        "model.network.backbone.data_dir",
        "model.network.runs_dir",
        "model.outputs",
        "model.transform",
        "recipe.channels_last",
        "recipe.name",
        "recipe.watch",
        "task.metric",
        "task.name",
    }
)

# Keys that came when there were records: with these values a cell is what it was without them.
LATER = {"recipe.precision": "32-true"}


def cell_id(config: Mapping[str, Any]) -> str:
    """Name a cell after its resolved configuration.

    The transform of a network that has none does not enter: `model=cnn transform=tps` is
    `model=cnn`.

    Raises:
        ValueError: the seed is no whole number from 0 up, or a value is none that JSON can say.
    """
    seed = config["seed"]
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise ValueError(f"seed must be a whole number from 0 up, not {seed!r}")
    names = [config["model"]["name"], config["model"]["transform"]]
    names += [config["data"]["name"], config["recipe"]["name"], f"s{seed}"]
    return run_id([str(name) for name in names if name is not None], decisive(config))


def of_cell(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration without the table or study that the cell is run for."""
    return {key: value for key, value in config.items() if key not in OF_A_SWEEP}


def decisive(config: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """Return a resolved configuration without what changes no result."""
    return {
        key: decisive(value, f"{place}{key}.") if isinstance(value, Mapping) else value
        for key, value in config.items()
        if f"{place}{key}" not in HARMLESS and (f"{place}{key}", value) not in LATER.items()
    }


def run_id(name_parts: Iterable[str], identity: Mapping[str, Any]) -> str:
    """Name a run: readable parts, then ten digits of a hash of all that changes its result.

    The order of keys does not matter, nor does the type of a whole number (1 or 1.0).

    Raises:
        ValueError: `identity` holds something that JSON cannot say, such as NaN or an object.
    """
    try:
        canonical = json.dumps(
            _canonical(identity), sort_keys=True, separators=(",", ":"), allow_nan=False
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"the identity of a run must be plain JSON: {error}") from error
    parts = [re.sub(r"[^A-Za-z0-9_.]+", "_", part) for part in name_parts]
    return "-".join([*parts, hashlib.sha256(canonical.encode()).hexdigest()[:10]])


def _canonical(value: Any) -> Any:
    """Return the same value for values that mean the same."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return value
