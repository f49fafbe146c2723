"""`python -m stn.figures`: the paper's Figures 1 and 3, and training as a film, from runs.

    python -m stn.figures figure=1 run=runs/<run_id> [num_images=3]
    python -m stn.figures figure=3 run=[runs/<run_id>,runs/<run_id>] [image=0]
    python -m stn.figures figure=training run=runs/<run_id>

It writes `<out>/figure<figure>_<run_id>.png` and `.svg`, or `<out>/training_<run_id>.gif`; trains
nothing. The right halves of Tables 1 to 3 are `stn.pictures` and `stn.looks`.
"""

import stn.extra  # noqa: F401  # isort: skip

from pathlib import Path

from omegaconf import DictConfig

from stn.entry import command
from stn.files.atomic import write_atomically
from stn.files.figures import write_figure
from stn.inspecting.paper_figures import figure1, figure3, training
from stn.running.command_settings import FiguresSettings, settings_of


@command("figures")
def main(cfg: DictConfig) -> None:
    """Draw a figure, and say where it is."""
    print(*(f"wrote {path}" for path in draw(settings_of(cfg, FiguresSettings))), sep="\n")


def draw(told: FiguresSettings) -> list[Path]:
    """Draw what is asked for; return the files.

    Raises:
        OSError: a file cannot be read or written.
        ValueError: it cannot be drawn as asked.
    """
    out, folders = Path(told.out), [Path(run) for run in told.run]
    places = Path(told.data_dir), told.packages
    name = folders[0].resolve().name
    if told.figure == "training":
        path = out / f"training_{name}.gif"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, training(folders[0]))
        return [path]
    if told.figure == "1":
        canvas = figure1(folders[0], *places, told.num_images)
    else:
        canvas = figure3(folders, *places, told.image)
    return write_figure(canvas.figure, out / f"figure{told.figure}_{name}")


if __name__ == "__main__":
    main()
