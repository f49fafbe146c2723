"""`python -m stn.wandb_report`: builds a report of this project's runs in Weights & Biases.

It shows what is there, and nothing of runs that were made offline and not yet sent (`wandb sync`).
"""

import stn.extra  # noqa: F401  # isort: skip

import sys
from collections.abc import Iterator
from typing import Any

import wandb
from omegaconf import DictConfig
from wandb_workspaces import expr
from wandb_workspaces.reports import v2 as wr

from stn.callbacks.wandb import STEP, group_of, logged_in
from stn.callbacks.warp_statistics import telling
from stn.entry import command
from stn.results.table import Column, Table
from stn.running.command_settings import WandbReportSettings, settings_of
from stn.tables import tables_of
from stn.transformers import Affine3d

MOST_TRANSFORMERS = 4  # of a network of this project
OFFLINE = (
    "no report was built: Weights & Biases is offline here. Log in (wandb login, no WANDB_MODE),"
    " send what runs have logged (wandb sync, see docs/wandb.md), and call this again"
)


@command("wandb_report")
def main(cfg: DictConfig) -> None:
    """Build the report in the project that runs are logged to, and say where it is."""
    told = settings_of(cfg, WandbReportSettings)
    if not told.logger.loggers:
        raise ValueError(f"logger: {told.logger.name} sends nothing to Weights & Biases")
    if not logged_in():
        sys.exit(OFFLINE)
    try:
        tables = [*tables_of(None)]
        of_runs = told.logger.loggers[0]
        entity = of_runs["entity"] or wandb.Api().default_entity
        report_on(tables, told.recipe, str(of_runs["project"]), str(entity)).save()
    except (OSError, ValueError, wandb.Error) as error:
        sys.exit(f"no report was built: {type(error).__name__}: {error}")


def report_on(tables: list[Table], recipe: str, project: str, entity: str) -> wr.Report:
    """Lay a report out: a section a table, a grid a column; and one of what transformers do.

    Args:
        tables: whose runs are shown, as far as there are any.
        recipe: of these runs.
        project, entity: where they are.
    """
    blocks: list[Any] = [wr.TableOfContents()]
    for table in tables:
        blocks += [wr.H1(table.title), wr.P(table.caption)]
        for column in table.columns:
            blocks += [wr.H2(f"{column.key}: {column.label}"), _grid(table, column, recipe)]
    groups = [
        group_of(t.title, recipe, r.key, c.key) for t in tables for c in t.columns for r in t.rows
    ]
    blocks += [
        wr.H1("What the transformers do"),
        wr.P(
            "Means over a batch of validation images, of the affine warp that is nearest;"
            " of several transformers, each."
        ),
        wr.PanelGrid(runsets=[_runs("all", groups)], panels=[*_of_transformers()]),
    ]
    title = f"Spatial Transformer Networks, recipe {recipe}"
    return wr.Report(project=project, entity=entity, title=title, blocks=blocks, width="fluid")


def _grid(table: Table, column: Column, recipe: str) -> wr.PanelGrid:
    """Show a column of a table: the metric of each row over its seeds, its course, and its cost."""
    tested, label = table.metric.name, f"{table.metric.label} [{table.metric.unit}]"
    validated = f"val_{tested.removeprefix('test_')}"
    groups = [group_of(table.title, recipe, row.key, column.key) for row in table.rows]
    panels: list[Any] = [
        wr.BarPlot(title=label, metrics=[tested], max_bars_to_show=50),
        wr.LinePlot(title=f"{label}, validation", x=STEP, y=[validated]),
        wr.LinePlot(title="training loss", x=STEP, y=["train_loss"], log_y=True),
        wr.ScatterPlot(title=f"{label} and cost", x=wr.SummaryMetric("cost/cpu_s"), y=tested),
        wr.ScatterPlot(title=f"{label} and size", x=wr.Config("num_params"), y=tested),
        wr.MediaBrowser(title="panels", media_keys=["panels"], mode="gallery", gallery_axis="step"),
    ]
    return wr.PanelGrid(runsets=[_runs(column.key, groups)], panels=panels)


def _runs(name: str, groups: list[str]) -> wr.Runset:
    """Choose the runs of some groups, and show those of a group, which differ in seed, as one."""
    return wr.Runset(name=name, filters=[expr.Metric("Group").isin(groups)], groupby=["group"])


def _of_transformers() -> Iterator[Any]:
    marks = ["", *(f"_{i}" for i in range(2, MOST_TRANSFORMERS + 1))]
    for name in telling(Affine3d(), Affine3d().identity()[None]):
        yield wr.LinePlot(title=name, x=STEP, y=[f"warp{mark}/{name}" for mark in marks])
    for part in ("localisation", "classifier"):
        title = f"norm of the gradient: {part}"
        yield wr.LinePlot(title=title, x=STEP, y=[f"gradient/{part}"], log_y=True)
    yield wr.LinePlot(title="learning rate", x=STEP, y=["lr", "lr_localisation"])
    yield wr.WeavePanelSummaryTable(table_name="samples", layout=wr.Layout(w=24, h=16))


if __name__ == "__main__":
    main()
