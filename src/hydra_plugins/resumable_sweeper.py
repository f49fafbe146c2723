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

from stn.running.building import instantiate


@dataclass
class ResumableSweeperConf:
    """Hydra's configuration node of the sweeper."""

    _target_: str = "hydra_plugins.resumable_sweeper.ResumableSweeper"
    max_batch_size: int | None = None  # cells given to the launcher at a time; None for all


ConfigStore.instance().store(
    group="hydra/sweeper", name="resumable", node=ResumableSweeperConf, provider="stn"
)


class ResumableSweeper(Sweeper):
    """Runs the cells of a sweep that are missing.

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

    def sweep(self, arguments: list[str]) -> list[JobReturn]:
        """Run what is missing; exit with status 1 unless every cell of the sweep is finished."""
        from rich.console import Console

        from stn.sweeping.show import INTERRUPTED, SweepDisplay, split

        console = Console()
        try:
            sweep = self._planned(arguments)
            missing, left, summary = split(sweep)
            console.print(summary, highlight=False, markup=False, soft_wrap=True)
            _fetch(sweep.data_modules if missing else [])
        except (OSError, ValueError) as error:
            sys.exit(f"{type(error).__name__}: {error}")
        display = SweepDisplay(missing, sweep.runs_dir, sweep.title, console)
        try:
            with display.shown():
                returns, failed, stop = self._run(sweep, missing, console)
        except (KeyboardInterrupt, SystemExit):  # Lightning turns the first into the second
            sys.exit(INTERRUPTED)
        if stop is not None:
            sys.exit("\n".join([*left, *failed, stop]))
        if failures := left + failed:
            lines = [f"{len(failures)} of {len(sweep.jobs)} cells failed:", *failures]
            sys.exit("\n".join(lines))
        return returns

    def _run(
        self, sweep: Any, missing: list[Any], console: Any
    ) -> tuple[list[JobReturn], list[str], str | None]:
        """Run cells; wait for those that another process runs, and take over what it leaves.

        Returns:
            What became of the cells, a line for each one that failed, and what there is to say if
            the launcher stopped before all had ended.
        """
        from stn.files.locks import BUSY
        from stn.sweeping.show import split, wait_until_free

        returns: list[JobReturn] = []
        failures: list[str] = []
        elsewhere: list[Any] = []
        while missing or elsewhere:
            done, stopped = self._launch(missing)
            for job, result in zip(missing, done, strict=False):  # fewer where it stopped
                error = _error(result)
                if error is None and result.return_value == BUSY:
                    elsewhere.append(job)
                    continue
                returns.append(result)
                if error is not None:
                    failures.append(f"{job.run_id}: {type(error).__name__}: {error}")
            if stopped is not None:
                return returns, failures, _after_stop(sweep, missing[len(done) :], stopped)
            if elsewhere and missing:
                names = ", ".join(job.run_id for job in elsewhere)
                console.print(
                    f"waiting for another process: {names}", highlight=False, markup=False
                )
            free = wait_until_free(elsewhere, sweep.runs_dir)
            elsewhere = [job for job in elsewhere if job not in free]
            missing, left, _ = split(replace(sweep, jobs=free))
            failures += left
        return returns, failures, None

    def _launch(self, jobs: list[Any]) -> tuple[list[JobReturn], Exception | None]:
        """Launch cells; return what became of them, and what stopped the launcher, if it did."""
        returns: list[JobReturn] = []
        step = self.max_batch_size or max(1, len(jobs))
        try:
            for first in range(0, len(jobs), step):
                batch = [list(job.overrides) for job in jobs[first : first + step]]
                returns += self.launcher.launch(batch, first)
        except Exception as error:  # of any kind: a worker was killed, a queue refused, ...
            return returns, error
        return returns, None

    def _planned(self, arguments: list[str]) -> Any:
        """Return the sweep that the overrides ask for, each cell once."""
        from stn.results.identity import cell_id
        from stn.running.tuning import trials_dir
        from stn.sweeping.show import Job, Sweep

        jobs: dict[str, Job] = {}
        data_modules: dict[str, Any] = {}
        for overrides, cost in self._expanded(arguments):
            config = self._compose(overrides)
            run_id = cell_id(config)
            jobs.setdefault(run_id, Job(run_id, tuple(overrides), cost))
            module = config["data"]["module"]
            data_modules.setdefault(module["_target_"], module)
        if not jobs:
            raise ValueError("this sweep has no cells")
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


def _fetch(data_modules: list[Any]) -> None:
    """Have the data there, and verified, before the first cell: what is missing is said once."""
    for config in data_modules:
        module = instantiate(config)
        module.prepare_data()
        module.setup()


def _after_stop(sweep: Any, jobs: list[Any], error: Exception) -> str:
    """Say what stopped the launcher, which cells that left unfinished, and how to go on."""
    from stn.sweeping.show import FINISHED, record_of

    lines = []
    for job in jobs:
        record = record_of(sweep.runs_dir / job.run_id)
        if record is None:
            lines.append(f"{job.run_id}: stopped, or still running")
        elif record.status != FINISHED:
            lines.append(f"{job.run_id}: {record.status}: {record.message}")
    counts = f"{len(lines)} of {len(sweep.jobs)} cells are not finished"
    why = f"{type(error).__name__}: {(str(error).strip() or 'no reason').splitlines()[0]}"
    lines.insert(0, f"the launcher stopped, {counts}: {why}")
    return "\n".join([*lines, "the same command goes on from the last checkpoints"])


def _error(result: JobReturn) -> Exception | None:
    """Return what a job raised, if it failed; reading `return_value` raises it."""
    if result.status == JobStatus.COMPLETED:
        return None
    try:
        _ = result.return_value
    except Exception as error:
        return error
    return RuntimeError("it did not say why")
