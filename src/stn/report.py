"""`python -m stn.report`: renders a table from the records there are; trains nothing.

    python -m stn.report table=table1 [recipe=quick] [source=DIR] [out=reports] [export=DIR]

Writes `<out>/<table>.md`, `.csv` and `.tex`, a function of the records and of the code that renders
them, and for the columns of `costs` `<out>/<table>_costs.png`, error against cost over all recipes
in the source. `export` also copies the table's finished records to a folder, one file a run, to be
committed; such a folder can be the `source` again.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from stn.results.collect import Collection, collect, export
from stn.results.comparison import Comparison, compare
from stn.results.provenance import code_id
from stn.results.records import Record
from stn.results.render import to_csv, to_latex, to_markdown
from stn.results.table import parse_table
from stn.results.terminal import summary, to_terminal
from stn.sweeping.planning import run_ids

CONF = str(Path(__file__).parents[2] / "conf")


@hydra.main(version_base="1.3", config_path=CONF, config_name="report")
def main(cfg: DictConfig) -> None:
    """Render the table that `cfg` names, and say what is missing."""
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    try:
        report(config)
    except (OSError, ValueError) as error:
        sys.exit(str(error))


def report(config: dict[str, Any]) -> None:
    """Render a table, and say on the terminal what is in it and what is not.

    Raises:
        OSError: a file cannot be written.
        ValueError: the table has no such column.
    """
    spec, recipe = parse_table(config["table"]), config["recipe"]
    if unknown := sorted({*config["costs"]} - {column.key for column in spec.columns}):
        raise ValueError(f"costs: the table has no column {', '.join(unknown)}")
    console = Console(highlight=False, soft_wrap=True)
    found = collect(config["source"])
    comparison = compare(spec, found.records, recipe["name"], code_id(), run_ids(recipe))
    console.print(to_terminal(comparison))
    console.print(summary(comparison))
    for line in notices(comparison, found, config["source"]):
        console.print(line, markup=False)
    paths = write_reports(comparison, Path(config["out"]))
    paths += write_costs(comparison, found, config["costs"], Path(config["out"]))
    for path in paths:
        console.print(f"wrote {path}", markup=False)
    if config["export"] is not None:
        paths = export(comparison.records, config["export"])
        console.print(f"copied {len(paths)} records to {config['export']}", markup=False)


def write_reports(comparison: Comparison, folder: Path) -> list[Path]:
    """Write a comparison in all formats to a folder; return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"md": to_markdown, "csv": to_csv, "tex": to_latex}
    paths = []
    for suffix, render in texts.items():
        paths.append(folder / f"{comparison.spec.name}.{suffix}")
        paths[-1].write_text(render(comparison), encoding="utf-8", newline="\n")
    return paths


def write_costs(
    comparison: Comparison, found: Collection, columns: Sequence[str], folder: Path
) -> list[Path]:
    """Draw error against cost over all recipes; return the path, if there was something to draw."""
    from stn.results.cost_figure import draw_costs  # matplotlib takes a second to import

    recipes = sorted({record.recipe for record in found.records})
    all_recipes = [
        compare(comparison.spec, found.records, recipe, comparison.code) for recipe in recipes
    ]
    figure = draw_costs(all_recipes, columns)
    if figure is None:
        return []
    path = folder / f"{comparison.spec.name}_costs.png"
    figure.savefig(path)
    return [path]


def notices(comparison: Comparison, found: Collection, source: str) -> list[str]:
    """Say what was found and is not in the table."""
    lines = [f"cannot use {problem.path}: {problem.reason}" for problem in found.problems]
    others = _other_recipes(found.records, comparison.recipe)
    if others:
        lines.append(f"not in this table: {others}; choose with recipe=...")
    if not found.records and not found.problems:
        lines.append(f"there is no record in {source}")
    return lines + _of_other_code(comparison) + [f"note: {r}" for r in comparison.remarks]


def _of_other_code(comparison: Comparison) -> list[str]:
    """Say how many records the code that renders them did not make."""
    code = comparison.code
    num, total = sum(r.code != code for r in comparison.records), len(comparison.records)
    return [f"{num} of {total} runs: other code than here ({code})"] if num else []


def _other_recipes(records: Sequence[Record], recipe: str) -> str:
    counts = Counter(record.recipe for record in records if record.recipe != recipe)
    return ", ".join(f"{number} runs of recipe {name}" for name, number in sorted(counts.items()))


if __name__ == "__main__":
    main()
