"""`python -m stn.looks run=runs/<run_id>`: where the transformers of a run look."""

import stn.extra  # noqa: F401  # isort: skip

from pathlib import Path

from omegaconf import DictConfig

from stn.entry import command
from stn.inspecting.looks_report import write_looks
from stn.running.command_settings import LooksSettings, settings_of


@command("looks")
def main(cfg: DictConfig) -> None:
    """Write `<out>/<run_id>_looks.md` and figures beside it, as PNG and SVG."""
    told = settings_of(cfg, LooksSettings)
    of_run = Path(told.run), Path(told.data_dir), told.packages, told.num_images
    page, written = write_looks(*of_run, Path(told.out))
    print(page)
    print(*(f"wrote {path}" for path in written), sep="\n")


if __name__ == "__main__":
    main()
