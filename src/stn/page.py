"""`python -m stn.page`: one page of all records, to be opened in a browser; trains nothing.

    python -m stn.page [tables=[table1]] [recipes=[quick]] [out=reports/index.html] [images=false]

Shows every table of every recipe that records have, the studies, and of each cell what its runs
left. The page is one file and needs no network. A table of which there is no run is shown empty.
"""

import stn.extra  # noqa: F401  # isort: skip

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from hydra.errors import MissingConfigException
from omegaconf import DictConfig

from stn.entry import command
from stn.files.scrubbing import scrub
from stn.inspecting.answers import Answers, Run
from stn.pages.pictures import Picture
from stn.pages.views import views
from stn.pages.writing import Sheet, write_page
from stn.results.collect import Collection, collect
from stn.results.comparison import Comparison
from stn.results.study import BUDGET, Study
from stn.running.command_settings import PageSettings, settings_of
from stn.running.settings import NoRecipeError
from stn.tables import composed, filled, tables_of


@command("page")
def main(cfg: DictConfig) -> None:
    """Write the page, and say what is on it."""
    seen: dict[Run, Answers[Picture] | str] = {}
    told = settings_of(cfg, PageSettings)
    sources = [Path(source) for source in told.sources]
    found = [collect(source) for source in sources]
    by_id = {r.run_id: r for one in reversed(found) for r in one.records}
    problems = {str(path): why for one in found for path, why in one.problems.items()}
    everything = Collection(tuple(by_id[run] for run in sorted(by_id)), {})
    sheets = []
    for c in comparisons(told, everything):
        print(f"{c.table.title}, {c.recipe}", flush=True)  # for networks take their time
        cells = views(c, sources, told.data_dir, told.packages, told.images, seen)
        sheets.append(Sheet(c, cells))
    shown = {r.run_id for sheet in sheets for r in sheet.comparison.records}
    write_page(
        Path(told.out),
        sheets,
        scrub(problems),
        scrub([str(source) for source in sources]),
        len(by_id.keys() - shown),
    )
    size = Path(told.out).stat().st_size / 1e6
    print(f"wrote {told.out}: {len(shown)} of {len(by_id)} records, {size:.1f} MB")
    for path, why in problems.items():
        print(f"cannot use {path}: {why}")


def comparisons(told: PageSettings, found: Collection) -> Iterator[Comparison]:
    """Yield each table of each recipe that has a run in it; without any, of one recipe.

    Raises:
        HydraException: there is no such table, or the configuration does not take an override.
        ValueError: a table is not as it should be.
    """
    known: dict[tuple[str, ...], DictConfig] = {}  # tables share cells

    def once(overrides: Sequence[str]) -> DictConfig:
        if (key := tuple(overrides)) not in known:
            known[key] = composed(overrides)
        return known[key]

    for table in tables_of(told.tables):
        data = {part.overrides.get("data") for part in (*table.columns, *table.rows)}
        recipes = told.recipes or sorted({r.recipe for r in found.records if r.data in data})
        if isinstance(table, Study) and not told.recipes:
            recipes = [BUDGET]
        some = []
        for recipe in recipes:
            with suppress(MissingConfigException, NoRecipeError):  # that of a record, and none here
                some.append(filled(told.overrides, table, found, recipe, once))
        some = [comparison for comparison in some if comparison.records]
        some.sort(key=lambda comparison: -len(comparison.records))  # the fullest first
        recipe = (told.recipes or [BUDGET])[0]
        yield from some or [filled(told.overrides, table, found, recipe, once)]


if __name__ == "__main__":
    main()
