"""`python -m stn.report`: renders a table or a study from the records there are; trains nothing.

    python -m stn.report table=table1 [recipe=quick] [source=DIR] [out=reports] [export=DIR]
    python -m stn.report study=priors ...

Writes `<out>/<table>_<recipe>.md`, `.csv` and `.tex`, a function of the records, of the
configuration and of the code that renders them, and pictures, as PNG and as SVG:
`<out>/<table>_costs`, what is measured against what it cost, over all recipes in the source, and,
where there are three seeds, `<out>/<table>_<recipe>_baselines`, the rows against their baselines
over all columns. A table that was run with overrides is found with the same ones:
"overrides=['recipe.max_steps=100']".
`export` also copies the table's finished records to a folder, one file a run, to be committed; such
a folder can be the `source` again. A study is `<out>/study_<name>.md`, with a figure of its seeds;
of other recipes than `quick`, `<out>/study_<name>_<recipe>.md`.
"""

import stn.extra  # noqa: F401  # isort: skip

from contextlib import suppress
from pathlib import Path

from hydra.errors import MissingConfigException
from omegaconf import DictConfig
from rich.console import Console

from stn.entry import command
from stn.results.collect import Collection, collect, export
from stn.results.comparison import Comparison
from stn.results.render import write_reports
from stn.results.study import Study
from stn.results.table import Table
from stn.results.terminal import summary, to_terminal
from stn.running.command_settings import ReportSettings, settings_of
from stn.running.settings import NoRecipeError
from stn.tables import chosen_recipe, filled, table_of


@command("report")
def main(cfg: DictConfig) -> None:
    """Render the table that `cfg` names, and say what is missing."""
    told = settings_of(cfg, ReportSettings)
    table = table_of(told)
    if unknown := sorted({*(told.costs or ())} - {column.key for column in table.columns}):
        raise ValueError(f"costs: the table has no column {', '.join(unknown)}")
    report(told, table, Console(highlight=False, soft_wrap=True))


def report(told: ReportSettings, table: Table, console: Console) -> None:
    """Render a table, and say on the terminal what is in it and what is not.

    Raises:
        HydraException: there is no such recipe, or the configuration does not take an override.
        OSError: a file cannot be written.
        ValueError: an override is the table's own.
    """
    found = collect(told.source)
    comparison = filled(told.overrides, table, found, chosen_recipe())
    paths = write_reports(comparison, Path(told.out))  # before a terminal that may fail
    console.print(to_terminal(comparison))
    console.print(summary(comparison))
    for line in notices(comparison, found, told.source):
        console.print(line, markup=False)
    if not paths:
        kept = f"{told.out}/{table.file_name(comparison.recipe)}.*"
        console.print(f"left as they are: {kept}, for there is no run to write", markup=False)
    paths += write_pictures(told, comparison, found)
    for path in paths:
        console.print(f"wrote {path}", markup=False)
    if told.export is not None:
        paths = export(comparison.records, told.export)
        console.print(f"copied {len(paths)} records to {told.export}", markup=False)


def notices(comparison: Comparison, found: Collection, source: str) -> list[str]:
    """Say what was found and is not in the table."""
    lines = [f"cannot use {path}: {why}" for path, why in found.problems.items()]
    if comparison.others:
        others = ", ".join(f"{num} of recipe {name}" for name, num in comparison.others.items())
        lines.append(f"runs that are not in this table: {others}")
    if not found.records and not found.problems:
        lines.append(f"there is no record in {source}")
    return lines


def write_pictures(told: ReportSettings, comparison: Comparison, found: Collection) -> list[Path]:
    """Draw costs and baselines; return the paths of what there was to draw.

    Of costs, all recipes in the source are drawn, unless they are no recipes here.
    """
    # matplotlib takes a second
    from stn.files.figures import write_figure
    from stn.results.study_figures import draw_study
    from stn.results.table_figures import draw_aggregates, draw_costs, shows_something

    table, figures = comparison.table, {}
    if isinstance(table, Study):
        figures[table.file_name(comparison.recipe)] = draw_study(comparison)
    columns = [c.key for c in table.columns] if told.costs is None else [*told.costs]
    recipes = {record.recipe for record in found.records if shows_something(record, table)}
    if columns and recipes:
        comparisons = {comparison.recipe: comparison}
        for recipe in recipes - comparisons.keys():
            with suppress(MissingConfigException, NoRecipeError):
                comparisons[recipe] = filled(told.overrides, table, found, recipe)
        of_recipes = [comparisons[recipe] for recipe in sorted(comparisons)]
        figures[f"{table.page}_costs"] = draw_costs(of_recipes, columns)
        figures[f"{table.file_name(comparison.recipe)}_baselines"] = draw_aggregates(comparison)
    paths = []
    for name, figure in figures.items():
        if figure is not None:
            paths += write_figure(figure, Path(told.out) / name)
    return paths


if __name__ == "__main__":
    main()
