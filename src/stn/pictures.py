"""`python -m stn.pictures`: the right half of a table, from the runs there are; trains nothing.

    python -m stn.pictures table=table1 [recipe=quick] [source=runs] [out=reports]

For each column with a finished run of the baseline and one with a transformer, it writes
`<out>/<table>_<column>.png`, digits that the former gets wrong and the latter right, and
`<out>/<table>_<column>_alignment.png`, the mean digits before and after the transformer.
"""

import sys
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from stn.drawing.examples import Rivals, draw_alignment, draw_examples, find_rivals, load
from stn.results.collect import collect
from stn.results.comparison import compare
from stn.results.provenance import code_id
from stn.results.table import parse_table
from stn.running.building import instantiate

CONF = str(Path(__file__).parents[2] / "conf")


@hydra.main(version_base="1.3", config_path=CONF, config_name="pictures")
def main(cfg: DictConfig) -> None:
    """Draw what there is to draw, and say what there is not."""
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    try:
        problems = draw_table(config)
    except ValueError as error:
        sys.exit(str(error))
    sys.exit("\n".join(problems) or None)


def draw_table(config: dict[str, Any]) -> list[str]:
    """Write the pictures of each column that has them; return what went wrong.

    Raises:
        ValueError: the table has no such baseline.
    """
    spec, source = parse_table(config["table"]), config["source"]
    known = sorted({row.baseline for row in spec.rows if row.baseline})
    if config["baseline"] not in known:
        raise ValueError(f"unknown baseline {config['baseline']}; valid are {', '.join(known)}")
    comparison = compare(spec, collect(source).records, config["recipe"]["name"], code_id())
    found = {column: find_rivals(comparison, column, config["baseline"]) for column in spec.columns}
    problems = [_draw_column(rivals, config) for rivals in found.values() if rivals is not None]
    if missing := [column.key for column, rivals in found.items() if rivals is None]:
        print(
            f"no picture of {', '.join(missing)}: needs a finished {config['baseline']} and a rival"
            f" with a transformer, of recipe {comparison.recipe} and the same seed, in {source}"
        )
    return [problem for problem in problems if problem is not None]


def _draw_column(rivals: Rivals, config: dict[str, Any]) -> str | None:
    """Write the pictures of a column; return why not, if its runs cannot be used."""
    key, folder = rivals.column.key, Path(config["out"])
    try:
        networks = load(rivals, Path(config["source"]), instantiate, config["data_dir"])
    except (OSError, ValueError) as error:
        return f"no picture of {key}: {type(error).__name__}: {error}"
    title, name = (
        f"{config['table']['title']}, {key} ({rivals.column.label})",
        config["table"]["name"],
    )
    examples = draw_examples(rivals, networks, title, config["num_digits"])
    if examples is None:
        print(f"no digit of {key} is wrong by {config['baseline']} and right by its rivals")
    else:
        _save(examples, folder / f"{name}_{key}.png")
    _save(draw_alignment(rivals, networks, title), folder / f"{name}_{key}_alignment.png")
    return None


def _save(picture: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, optimize=True)
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
