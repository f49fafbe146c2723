"""The committed results: records that can be believed, and renderings made from them alone."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from stn.results.collect import collect
from stn.results.comparison import Comparison, compare
from stn.results.render import to_csv, to_latex, to_markdown
from stn.results.table import parse_table
from stn.sweeping.planning import run_ids

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent for path in ROOT.glob("results/*/*/*.md"))
RENDER = {"md": to_markdown, "csv": to_csv, "tex": to_latex}


@cache
def comparison_of(folder: Path) -> Comparison:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        choices = [f"table={folder.parent.name}", f"recipe={folder.name}"]
        config: Any = OmegaConf.to_container(compose("report", choices), resolve=True)
        found = collect(folder)
        assert not found.problems
        spec, run_id_of = parse_table(config["table"]), run_ids(config["recipe"])
        return compare(spec, found.records, folder.name, code_of(folder), run_id_of)


def code_of(folder: Path) -> str:
    """The code that rendered a committed table, which the table says."""
    text = (folder / f"{folder.parent.name}.md").read_text(encoding="utf-8")
    return re.search(r"^\| rendered by code \| ([0-9a-f]{12}) \|$", text, re.MULTILINE)[1]  # type: ignore[index]


def main_table(markdown: str) -> str:
    """The first table of a rendering."""
    return re.search(r"(?:^\|.*\n)+", markdown, re.MULTILINE)[0]  # type: ignore[index]


def test_there_are_results() -> None:
    assert {path.name for path in FOLDERS} == {"quick", "fast", "paper"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: "/".join(path.parts[-2:]))
@pytest.mark.parametrize("suffix", RENDER)
def test_a_committed_table_is_what_its_records_give(folder: Path, suffix: str) -> None:
    committed = (folder / f"{folder.parent.name}.{suffix}").read_text(encoding="utf-8")
    remedy = f"python -m stn.report recipe={folder.name} source={folder} out={folder}"
    assert committed == RENDER[suffix](comparison_of(folder)), f"render it again: {remedy}"


def test_the_readme_shows_the_committed_table() -> None:
    shown = re.search(
        r"<!-- table1 -->\n(.*)<!-- /table1 -->", (ROOT / "README.md").read_text(), re.DOTALL
    )
    assert shown is not None
    markdown = to_markdown(comparison_of(ROOT / "results/table1/quick"))
    assert shown[1] == main_table(markdown), (
        "copy the first table of results/table1/quick/table1.md"
    )


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: "/".join(path.parts[-2:]))
def test_the_records_are_of_committed_code(folder: Path) -> None:
    records = comparison_of(folder).records
    assert records
    assert not [record.run_id for record in records if record.git_dirty]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: "/".join(path.parts[-2:]))
def test_the_records_are_of_the_configuration_as_it_is(folder: Path) -> None:
    assert not [cell for cell in comparison_of(folder).cells if cell.other_settings]
