"""`python -m stn.looks run=runs/<run_id>`: where the transformers of a run look."""

import stn.extra  # noqa: F401  # isort: skip

import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig, OmegaConf

from stn.configuration import CONF, show_what_can_be_shown
from stn.files.atomic import write_atomically
from stn.files.figures import write_figure
from stn.inspecting.looks_report import report_looks


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="looks")
def main(cfg: DictConfig) -> None:
    """Write `<out>/<run_id>_looks.md` and a figure beside it, as PNG and SVG."""
    show_what_can_be_shown()
    if OmegaConf.is_missing(cfg, "run"):
        sys.exit("which run? Say run=runs/<run_id>")
    if type(cfg.num_images) is not int or cfg.num_images < 1:
        sys.exit(f"num_images must be a whole number from 1 up, not {cfg.num_images}")
    folder, out = Path(str(cfg.run)), Path(str(cfg.out))
    try:
        page, figure = report_looks(folder, cfg.data_dir, tuple(cfg.packages), cfg.num_images)
        out.mkdir(parents=True, exist_ok=True)
        path = out / f"{folder.resolve().name}_looks.md"
        write_atomically(path, page.encode())
        written = [path, *write_figure(figure, path.with_suffix(""))]
    except (OSError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    print(page)
    print(*(f"wrote {path}" for path in written), sep="\n")


if __name__ == "__main__":
    main()
