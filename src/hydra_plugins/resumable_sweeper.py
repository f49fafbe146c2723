"""A Hydra sweeper that knows which cells are done.

`-m` with comma lists runs the product of the lists; `-m +table=table1` runs the cells of a table.
Both skip the cells whose record says finished, and launch the rest with whatever launcher is
configured.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


@dataclass
class ResumableSweeperConf:
    """Hydra's configuration node of the sweeper."""

    _target_: str = "hydra_plugins.resumable_sweeper.ResumableSweeper"
    max_batch_size: int | None = None  # cells given to the launcher at a time; None for all


ConfigStore.instance().store(
    group="hydra/sweeper", name="resumable", node=ResumableSweeperConf, provider="stn"
)


class ResumableSweeper(Sweeper):
    """Gives `stn.sweeping` what it needs of Hydra: composed configurations, and a launcher.

    Imports of the project are in the methods: Hydra loads all plugins for every command.

    Args:
        max_batch_size: cells given to the launcher at a time; None for all. For launchers that
            know no limit of their own.
    """

    hydra_context: HydraContext
    config: DictConfig
    launcher: Launcher

    def __init__(self, max_batch_size: int | None = None) -> None:
        self.max_batch_size = max_batch_size

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take Hydra's context, as every sweeper does."""
        self.config = config
        self.hydra_context = hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Run what is missing; exit with status 1 unless every cell of the sweep is finished."""
        from stn.sweeping.sweep import sweep

        if self.max_batch_size is not None and self.max_batch_size < 1:
            raise ValueError(f"max_batch_size must be at least 1, not {self.max_batch_size}")
        title = config["table"]["title"] if "table" in config else "Sweep"
        return Sweep(
            jobs=list(jobs.values()),
            title=title,
            runs_dir=trials_dir(config) if config["tune"] else Path(config["runs_dir"]),
            data_modules=list(data_modules.values()),
            retry=config["retry"],
        )

    def _expanded(self, arguments: list[str]) -> list[tuple[list[str], float]]:
        """Return the overrides of every job: the product of the lists, times the table's cells."""
        from stn.results.table import parse_table
        from stn.sweeping.planning import plan

    def _products(self, arguments: list[str]) -> list[list[str]]:
        """Return the overrides of each job: the product of all comma lists."""
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        parsed = parser.parse_overrides(arguments)
        (products,) = BasicSweeper.split_arguments(parsed, None)
        names = [str(o.value()) for o in parsed if o.key_or_group == "table"]
        if not names:
            return [(overrides, 1.0) for overrides in products]
        jobs = []
        for overrides in products:
            content: Any = OmegaConf.to_container(self._composed(overrides).table)
            runs = plan(parse_table(names[0], content), overrides, self._composed)
            jobs += [([*run.overrides], run.cost) for run in runs]
        return jobs

    def _compose(self, overrides: Sequence[str]) -> dict[str, Any]:
        plain: Any = OmegaConf.to_container(self._composed(overrides), resolve=True)
        return plain

    def _composed(self, overrides: Sequence[str]) -> DictConfig:
        loader = self.hydra_context.config_loader
        config = loader.load_sweep_config(self.config, list(overrides))
        return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def _outcome(result: JobReturn) -> Any:
    """Return what a job returned, or what it raised: reading `return_value` raises it."""
    try:
        value = result.return_value
    except Exception as error:
        return error
    failed = result.status != JobStatus.COMPLETED
    return RuntimeError("it did not say why") if failed else value
