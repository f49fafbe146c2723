"""The table or study that a command is asked for, and how it is filled with records."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from stn.configuration import CONF
from stn.results.collect import Collection
from stn.results.comparison import Comparison, compare
from stn.results.study import KINDS, Study
from stn.results.table import Table, parse_table
from stn.running.command_settings import OfTable
from stn.sweeping.planning import planned_runs


def table_of(told: OfTable) -> Table:
    """Return the study or else the table that a command was asked for, called as its file.

    Raises:
        ValueError: it is not as it should be.
    """
    choices = HydraConfig.get().runtime.choices
    if told.study is not None:
        return parse_table(choices["study"], told.study, Study)
    assert told.table is not None
    return parse_table(choices["table"], told.table, Table)


def tables_of(names: Sequence[str] | None) -> Iterator[Table]:
    """Yield tables and studies by name; of None the paper's, those of its appendix, all others.

    Raises:
        HydraException: there is no such table.
        ValueError: one is not as it should be.
    """
    loader = GlobalHydra.instance().config_loader()
    known = {name: group for group in KINDS for name in loader.get_group_options(group)}
    place = {name: (group == "study", not name.startswith("table"), name)
             for name, group in known.items()}  # fmt: skip
    for name in names or sorted(known, key=lambda name: place[name]):
        group = known.get(name, "table")
        content: Any = OmegaConf.to_container(compose("report", [f"{group}={name}"])[group])
        yield parse_table(name, content, KINDS[group])


def chosen_recipe() -> str:
    """Return the name of the recipe that a command was asked for."""
    return str(HydraConfig.get().runtime.choices["recipe"])


def composed(overrides: Sequence[str]) -> DictConfig:
    """Compose the configuration of a cell, which takes a tenth of a second."""
    return compose("train", [*overrides])


def filled(
    overrides: Sequence[str],
    table: Table,
    found: Collection,
    recipe: str,
    composed: Callable[[Sequence[str]], DictConfig] = composed,
) -> Comparison:
    """Fill a table, run with these overrides, with the records found, of whatever seeds."""
    records = [record for record in found.records if record.recipe == recipe]

    def may_have_one(own: Mapping[str, Any]) -> bool:
        """Tell so by the names of network and data, as far as they are those of files here.

        Overrides are tried on all cells, for a mistake in them to be said.
        """
        named = {key: own[key] for key in ("model", "data") if key in own}
        known = {k: v for k, v in named.items() if (CONF / k / f"{v}.yaml").is_file()}
        return len(chosen) > 1 or any(known.items() <= vars(r).items() for r in records)

    seeds = sorted({record.seed for record in records})
    chosen = [f"recipe={recipe}", *overrides]
    chosen += [o for o in HydraConfig.get().overrides.task if o.lstrip("+~").startswith("recipe.")]
    runs = planned_runs(table, chosen, composed, seeds, may_have_one)
    return compare(table, recipe, runs, found.records)
