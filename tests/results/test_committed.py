"""The committed results: records that can be believed, and renderings made from them alone."""

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from stn.results.collect import collect
from stn.results.comparison import Comparison, compare
from stn.results.identity import cell_id
from stn.results.provenance import without_sweep
from stn.results.render import to_csv, to_latex, to_markdown
from stn.results.study import KINDS
from stn.results.table import parse_table
from stn.sweeping.planning import planned_runs

ROOT = Path(__file__).parents[2]
FOLDERS = sorted({path.parent for path in ROOT.glob("results/*/*/*.json")})
RENDER = {"md": to_markdown, "csv": to_csv, "tex": to_latex}
each_folder = pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: "/".join(f.parts[-2:]))


def parts(folder: Path) -> tuple[str, str, str]:
    """What a folder is called after: table or study, its name, and the recipe."""
    folder_name, recipe = folder.parts[-2:]
    name = folder_name.removeprefix("study_")
    return ("table" if name == folder_name else "study"), name, recipe


@cache
def comparison_of(folder: Path, only: tuple[str, ...] | None = None) -> Comparison:
    """The table and the recipe are those that the folder is called after."""
    group, name, recipe = parts(folder)
    found = collect(folder)
    assert not found.problems
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        content: Any = OmegaConf.to_container(compose("report", [f"{group}={name}"])[group])
        table = parse_table(name, content | ({"only": only} if only else {}), KINDS[group])
        seeds = sorted({*range(table.seeds), *(record.seed for record in found.records)})
        runs = planned_runs(
            table, [f"recipe={recipe}"], lambda chosen: compose("train", [*chosen]), seeds
        )
    return compare(table, recipe, runs, found.records)


def main_table(markdown: str) -> str:
    """The first table of a rendering."""
    return re.search(r"(?:^\|.*\n)+", markdown, re.MULTILINE)[0]  # type: ignore[index]


def test_there_are_results() -> None:
    assert {"table1/quick", "table1/fast"} <= {"/".join(path.parts[-2:]) for path in FOLDERS}


@each_folder
@pytest.mark.parametrize("suffix", RENDER)
def test_a_committed_table_is_what_its_records_give(folder: Path, suffix: str) -> None:
    group, name, recipe = parts(folder)
    comparison = comparison_of(folder)
    file = folder / f"{comparison.table.file_name(recipe)}.{suffix}"
    place = folder.relative_to(ROOT)
    remedy = f"python -m stn.report {group}={name} recipe={recipe} source={place} out={place}"
    written = file.read_text(encoding="utf-8")
    assert written == RENDER[suffix](comparison), f"render it again: {remedy} costs=[]"


# <!-- table recipe --> or, where it shows some columns only, <!-- table recipe column,column -->
README_TABLES = re.findall(
    r"<!-- (\w+) (\w+)(?: ([\w,]+))? -->\n(.*?)<!-- /\1 -->",
    (ROOT / "README.md").read_text(),
    re.DOTALL,
)


@pytest.mark.parametrize(
    ("name", "recipe", "columns", "shown"),
    README_TABLES,
    ids=[" ".join(t[:2]) for t in README_TABLES],
)
def test_the_readme_shows_the_committed_table(
    name: str, recipe: str, columns: str, shown: str
) -> None:
    folder = ROOT / "results" / name / recipe
    comparison = comparison_of(folder, tuple(columns.split(",")) if columns else None)
    only = f" 'table.only=[{columns}]'" if columns else ""
    remedy = f"copy the first table that this renders: python -m stn.report table={name}{only}"
    assert shown == main_table(to_markdown(comparison)), f"{remedy} recipe={recipe} source={folder}"


def test_the_readme_shows_tables() -> None:
    shown = {(name, recipe) for name, recipe, *_ in README_TABLES}
    tables = {"table1", "table2_recomposed", "table3"}
    assert shown >= {("table1", "fast"), *((table, "quick") for table in tables)}


@each_folder
def test_the_records_are_of_committed_code(folder: Path) -> None:
    records = comparison_of(folder).records
    assert records
    assert not [record.run_id for record in records if record.git_dirty]


@each_folder
def test_every_record_is_of_a_cell_as_it_is_configured_today(folder: Path) -> None:
    comparison = comparison_of(folder)
    remedy = f"python results/renew.py {folder.relative_to(ROOT)}"
    assert not comparison.others, remedy
    assert len(comparison.records) == len([*folder.glob("*.json")])


@each_folder
def test_a_record_shows_the_command_that_makes_it_again(folder: Path) -> None:
    for record in [*collect(folder).records][:: max(1, len(FOLDERS))]:
        python, module, name, *overrides = shlex.split(without_sweep(record.command))
        assert (python, module, name) == ("python", "-m", "stn.train")
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            config = compose("train", overrides)
        assert cell_id(OmegaConf.to_container(config, resolve=True)) == record.run_id
