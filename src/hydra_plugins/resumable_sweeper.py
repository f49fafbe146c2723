"""A Hydra sweeper that knows which cells are done.

`-m` with comma lists runs the product of the lists; `-m +table=table1` runs the cells of a table.
Both skip the cells whose record says finished, and launch the rest with whatever launcher is
configured.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
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
            sys.exit(f"max_batch_size must be at least 1, not {self.max_batch_size}")
        sweep(self._products(arguments), self._compose, self._launch)

    def _products(self, arguments: list[str]) -> list[list[str]]:
        """Return the overrides of each job: the product of all comma lists."""
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        (products,) = BasicSweeper.split_arguments(parser.parse_overrides(arguments), None)
        return products

    def _compose(self, overrides: Sequence[str]) -> DictConfig:
        from stn.entry import said

        loader = self.hydra_context.config_loader
        try:
            config = loader.load_sweep_config(self.config, list(overrides))
        except HydraException as error:
            raise ValueError(said(error)) from error
        return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])

    def _launch(self, jobs: Sequence[Sequence[str]]) -> tuple[list[Any], Exception | None]:
        """Launch cells; return what they returned or raised, and what stopped the launcher."""
        outcomes: list[Any] = []
        step = self.max_batch_size or max(1, len(jobs))
        try:
            for first in range(0, len(jobs), step):
                batch = [list(overrides) for overrides in jobs[first : first + step]]
                outcomes += map(_outcome, self.launcher.launch(batch, first))
        except Exception as error:  # of any kind: a worker was killed, a queue refused, ...
            return outcomes, error
        return outcomes, None


def _outcome(result: JobReturn) -> Any:
    """Return what a job returned, or what it raised: reading `return_value` raises it."""
    try:
        value = result.return_value
    except Exception as error:
        return error
    failed = result.status != JobStatus.COMPLETED
    return RuntimeError("it did not say why") if failed else value
