"""`python -m stn.looks run=runs/<run_id>`: where the transformers of a run look."""

import stn.extra  # noqa: F401  # isort: skip

from pathlib import Path

from omegaconf import DictConfig

from stn.entry import command
from stn.files.atomic import write_atomically
from stn.files.figures import write_figure
from stn.inspecting.looks_report import report_looks
from stn.running.settings import LooksSettings, settings_of


@command("looks")
def main(cfg: DictConfig) -> None:
    """Write `<out>/<run_id>_looks.md` and figures beside it, as PNG and SVG."""
    told = settings_of(cfg, LooksSettings)
    folder, out = Path(told.run), Path(told.out)
    page, figures = report_looks(folder, Path(told.data_dir), told.packages, told.num_images)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{folder.resolve().name}_looks.md"
    write_atomically(path, page.encode())
    written = [path]
    for name, figure in figures.items():
        written += write_figure(figure, path.with_name(f"{path.stem}{name}"))
    print(page)
    print(*(f"wrote {path}" for path in written), sep="\n")


if __name__ == "__main__":
    main()
