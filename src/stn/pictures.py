"""`python -m stn.pictures`: what a table's transformers do, from its runs; trains nothing.

    python -m stn.pictures table=table1 [recipe=quick] [baseline=cnn] [source=runs] [out=reports]

For each baseline of the table and each column with finished runs of it and of a network that is
compared with it, it writes `<out>/<table>_<recipe>_<column>_<baseline>.png`, images that the former
gets wrong and the latter right, and `..._alignment.png`, the mean images before and after the
transformer; of a table without baselines `..._<column>_training.png`, what transformers read as
training goes on. Where the data say where things are, it says and draws of a run of each row with
transformers where these look, as `stn.looks`. All pictures are SVG as well. Overrides are given as
to `stn.report`.
"""

import stn.extra  # noqa: F401  # isort: skip

import sys
from pathlib import Path

from omegaconf import DictConfig

from stn.drawing.canvas import Canvas
from stn.entry import command
from stn.files.figures import write_figure
from stn.files.run_files import WEIGHTS
from stn.inspecting.examples import Rivals, draw_alignment, draw_examples, find_rivals, load
from stn.inspecting.looks import NotAffineError
from stn.inspecting.looks_report import NoPlacesError, write_looks
from stn.inspecting.training_pictures import draw_training
from stn.results.collect import collect
from stn.results.comparison import Comparison
from stn.running.command_settings import PicturesSettings, settings_of
from stn.tables import chosen_recipe, filled, table_of

NUM_IMAGES = 24  # of the test set, with what is read of them


@command("pictures")
def main(cfg: DictConfig) -> None:
    """Draw what there is to draw, and say what there is not."""
    sys.exit("\n".join(draw_table(settings_of(cfg, PicturesSettings))) or None)


def draw_table(told: PicturesSettings) -> list[str]:
    """Write the pictures of each column that has them; return what went wrong.

    Raises:
        ValueError: the table has no such baseline.
    """
    table, problems = table_of(told), []
    known = list(dict.fromkeys(row.baseline for row in table.rows if row.baseline))
    if told.baseline is not None and told.baseline not in known:
        raise ValueError(f"unknown baseline {told.baseline}; valid are {', '.join(known)}")
    comparison = filled(told.overrides, table, collect(told.source), chosen_recipe())
    if not known:
        for column in table.columns:
            training = draw_training(comparison, column, Path(told.source))
            if training is None:
                print(f"no picture of {column.key}: needs a transformer's run in {told.source}")
            else:
                _write(
                    training, told, f"{table.file_name(comparison.recipe)}_{column.key}_training"
                )
        return []
    for baseline in known if told.baseline is None else [told.baseline]:
        missing = []
        for column in table.columns:
            rivals = find_rivals(comparison, column, baseline)
            if rivals is None:
                missing.append(column.key)
                continue
            name = f"{table.file_name(comparison.recipe)}_{column.key}_{baseline}"
            try:
                _draw(told, rivals, f"{table.title}, {column.key} ({column.label})", name)
            except (OSError, ValueError) as error:
                problems.append(f"no picture of {column.key}: {type(error).__name__}: {error}")
        if missing:
            print(
                f"no picture of {', '.join(missing)}: needs finished runs of one seed of {baseline}"
                f" and of a row compared with it, of recipe {comparison.recipe}, in {told.source}"
            )
    return problems + _draw_looks(told, comparison)


def _draw_looks(told: PicturesSettings, comparison: Comparison) -> list[str]:
    """Say and draw where transformers look, a run of each cell; return what went wrong."""
    problems = []
    for column in comparison.table.columns:
        for cell in (cell for cell in comparison.cells if cell.column == column):
            runs = [Path(told.source) / r.run_id for r in cell.finished if r.transform]
            folder = next((run for run in runs if (run / WEIGHTS).exists()), None)
            if folder is None:
                continue
            of_run = folder, Path(told.data_dir), told.packages, NUM_IMAGES
            try:
                _, written = write_looks(*of_run, Path(told.out))
            except NoPlacesError:
                break  # nor do the data of the column's other rows say
            except NotAffineError as error:
                print(f"{folder.name}: {error}")
            except (OSError, ValueError) as error:
                problems.append(f"no looks of {folder.name}: {type(error).__name__}: {error}")
            else:
                print(*(f"wrote {path}" for path in written), sep="\n")
    return problems


def _draw(told: PicturesSettings, rivals: Rivals, title: str, name: str) -> None:
    """Write the pictures of a column and a baseline, and say what there is none of."""
    networks = load(rivals, Path(told.source), told.data_dir, told.packages)
    if networks.labels.ndim > 1:
        what = "do not have one class each; for one run there is python -m stn.looks"
        print(f"no picture of {rivals.column.key}: its images {what}")
        return
    examples = draw_examples(rivals, networks, title, told.num_images)
    alignment = draw_alignment(rivals, networks, title)
    if examples is None:
        row = rivals.baseline[0].label
        print(f"no image of {rivals.column.key} is wrong by {row} and right by a transformer's")
    for picture, ending in ((examples, ""), (alignment, "_alignment")):
        if picture is not None:
            _write(picture, told, f"{name}{ending}")


def _write(picture: Canvas, told: PicturesSettings, name: str) -> None:
    for path in write_figure(picture.figure, Path(told.out) / name):
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
