"""`python -m stn.figures`: the paper's Figures 1 and 3, and training as a film, from runs.

    python -m stn.figures figure=1 run=runs/<run_id> [num_images=3]
    python -m stn.figures figure=3 run=[runs/<run_id>,runs/<run_id>] [image=0]
    python -m stn.figures figure=training run=runs/<run_id>

It writes `<out>/figure<figure>_<run_id>.png` and `.svg`, or `<out>/training_<run_id>.gif`; trains
nothing. The right halves of Tables 1 to 3 are `stn.pictures` and `stn.looks`.
"""

import stn.extra  # noqa: F401  # isort: skip

import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig, OmegaConf

from stn.configuration import CONF, show_what_can_be_shown
from stn.files.atomic import write_atomically
from stn.files.figures import write_figure
from stn.inspecting.paper_figures import figure1, figure3, training


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="figures")
def main(cfg: DictConfig) -> None:
    """Draw a figure, and say where it is."""
    show_what_can_be_shown()
    try:
        print(*(f"wrote {path}" for path in draw(cfg)), sep="\n")
    except (OSError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


def draw(cfg: DictConfig) -> list[Path]:
    """Draw what is asked for; return the files.

    Raises:
        OSError: a file cannot be read or written.
        ValueError: it cannot be drawn as asked.
    """
    if OmegaConf.is_missing(cfg, "run") or OmegaConf.is_missing(cfg, "figure"):
        raise ValueError("which? Say figure=1, 3 or training, and run=runs/<run_id>")
    for key, least in (("num_images", 1), ("image", 0)):
        if type(cfg[key]) is not int or cfg[key] < least:
            raise ValueError(f"{key} must be a whole number from {least} up, not {cfg[key]}")
    figure, out, given = str(cfg.figure), Path(str(cfg.out)), cfg.run
    folders = [Path(str(run)) for run in ([given] if isinstance(given, str) else given)]
    places = Path(str(cfg.data_dir)), tuple(cfg.packages)
    if not folders or (len(folders) > 1 and figure != "3"):
        raise ValueError("run: one folder; figure=3 takes several")
    name = folders[0].resolve().name
    if figure == "training":
        path = out / f"training_{name}.gif"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, training(folders[0]))
        return [path]
    if figure == "1":
        canvas = figure1(folders[0], *places, cfg.num_images)
    elif figure == "3":
        canvas = figure3(folders, *places, cfg.image)
    else:
        raise ValueError(f"there is no figure {figure}; there are 1, 3 and training")
    return write_figure(canvas.figure, out / f"figure{figure}_{name}")


if __name__ == "__main__":
    main()
