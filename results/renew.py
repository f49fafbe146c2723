"""Gives committed records today's form and the ids of today's configuration.

    python results/renew.py [--remove] results/table1/*

Each record's cell (model, transform, data, recipe, seed) is composed as it is configured now, and
what the record was made with (sizes of the network, distortion, recipe) is compared with it. Where
it is the same, the record gets the cell's id, and its file the name. Where it is not, or the cell
is no longer there, the record is listed, and taken away with `--remove`. Running it again changes
nothing.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf

from stn.configuration import CONF
from stn.results.identity import cell_id
from stn.results.records import SCHEMA, Record, read_record, write_record

DROPPED = ("overrides", "paper_samples", "paper_steps", "schema", "table")  # of schema 1
METRICS = ("test_error_percent", "val_error_percent")
NOT_DECISIVE = {"name", "paper_steps", "watch"}  # of a recipe


def main() -> None:
    """Renew the records in some folders; exit with 1 if one is listed and was not taken away."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--remove", action="store_true")
    parser.add_argument("folders", nargs="+", type=Path)
    arguments = parser.parse_args()
    num_renewed, listed = 0, []
    for path in sorted(path for folder in arguments.folders for path in folder.glob("*.json")):
        record = read(path)
        try:
            config = configured(record)
            reasons = [*differences(record.config, config)]
        except HydraException as error:
            reasons = [str(error).splitlines()[0]]
        if reasons:
            listed.append(f"{path}: {'; '.join(reasons)}")
            if arguments.remove:
                path.unlink()
            continue
        renewed = Record(**record.model_dump() | {"run_id": cell_id(config)})
        new = path.with_name(f"{renewed.run_id}.json")
        if new != path and new.exists():
            sys.exit(f"{path} and {new} are the same cell")
        write_record(new, renewed)
        if new != path:
            path.unlink()
        num_renewed += 1
    print(f"{num_renewed} records have today's form and ids")
    if listed:
        done = "taken away" if arguments.remove else "left: --remove takes them away"
        print("\n".join([f"{len(listed)} of cells that are no more, {done}:", *listed]))
        sys.exit(0 if arguments.remove else 1)


def read(path: Path) -> Record:
    """Read a record of this schema or of the first."""
    content = json.loads(path.read_text())
    if content["schema"] == SCHEMA:
        return read_record(path)
    if content["overrides"]:
        sys.exit(f"{path} has overrides: {content['overrides']}")
    metrics = {name: content.pop(name) for name in METRICS}
    metrics = {name: value for name, value in metrics.items() if value is not None}
    kept = {key: value for key, value in content.items() if key not in DROPPED}
    return Record(**kept, task="classification", metrics=metrics)


def configured(record: Record) -> dict[str, Any]:
    """Return the configuration of a record's cell as it is today."""
    chosen = {"model": record.model, "transform": record.transform, "data": record.data}
    chosen |= {"recipe": record.recipe, "seed": record.seed}
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("train", [f"{k}={v}" for k, v in chosen.items() if v is not None])
        plain: Any = OmegaConf.to_container(config, resolve=True)
    return plain


def differences(recorded: Mapping[str, Any], today: Mapping[str, Any]) -> Iterator[str]:
    """Yield what decides the recorded result and is not the same today.

    Values are looked up by their names, wherever they stand: that they have moved is no difference.
    Of classes the names count, and not the modules; networks are told by their sizes.
    """
    network, module = recorded["model"]["network"], recorded["data"]["module"]
    decisive = {
        "network": {**network, **network.get("build", {}), "build": None, "_target_": None},
        "data": {**module, "_target_": None, "data_dir": None},
        "recipe": {k: v for k, v in recorded["recipe"].items() if k not in NOT_DECISIVE},
    }
    found: dict[str, list[Any]] = {}
    for name, value in leaves(today):
        found.setdefault(name, []).append(value)
    for name, value in leaves(decisive):
        if value is not None and value not in found.get(name, []):
            yield f"{name} was {value} and is {found.get(name, 'not there')}"


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the innermost values of a configuration by name; of `_target_` after what it makes."""
    if not isinstance(value, Mapping):
        yield name, value
        return
    for key, item in value.items():
        if key == "_target_" and item is not None:
            yield f"class of {name}", item.rpartition(".")[2]
        else:
            yield from leaves(item, key)


if __name__ == "__main__":
    main()
