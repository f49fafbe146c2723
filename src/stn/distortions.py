"""One picture of what every distortion does: a row for each, a column for each class of digit.

    python -m stn.distortions --out reports/distortions.png --seed 0

Rows are the data configurations that have a distortion (`conf/data/*.yaml`), with the numbers they
state; columns are the first validation image of each class, in the split of its data set.
"""

import stn.extra  # noqa: F401  # isort: skip

import argparse
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from stn.configuration import CONF, folder
from stn.data.distorted import configurations
from stn.data.mnist import NUM_CLASSES
from stn.drawing.canvas import Canvas
from stn.drawing.tiles import FAINT
from stn.files.figures import write_figure
from stn.running.building import instantiate

CELL_PX, STEP_PX, MARGIN_PX, LABEL_PX, HEADER_PX = 168, 176, 24, 290, 56


def write_sheet(columns: list[DictConfig], data_dir: Path, seed: int, path: Path) -> None:
    """Draws the sheet of these data configurations; writes it as PNG, and as SVG beside it."""
    left, head = MARGIN_PX + LABEL_PX, MARGIN_PX + HEADER_PX
    size = left + NUM_CLASSES * STEP_PX + MARGIN_PX, head + len(columns) * STEP_PX + MARGIN_PX
    sheet = Canvas(*size)
    for label in range(NUM_CLASSES):
        middle = left + label * STEP_PX + CELL_PX / 2
        sheet.write((middle, MARGIN_PX), str(label), 36, align=(0.5, 1))
    for row, column in enumerate(columns):
        top = head + row * STEP_PX
        module: Any = OmegaConf.to_container(column.module, resolve=True)
        distortion = module["distortion"]
        height, width = distortion["size"]
        words = [distortion["_target_"].rpartition(".")[2], f"{height} x {width} px"]
        stated = {k: v for k, v in distortion.items() if v is not None}
        words += [f"{k}: {v}" for k, v in stated.items() if k not in ("_target_", "size")]
        sheet.write((MARGIN_PX, top), column.label, 36)
        sheet.write((MARGIN_PX, top + 44), "\n".join(words), 17, FAINT)
        module["data_seed"] = seed
        data = instantiate(module, batch_size=1, seed=seed, data_dir=data_dir)
        for digit, of_class in zip(*data.panel_batch(NUM_CLASSES), strict=True):
            sheet.picture(digit, (left + int(of_class) * STEP_PX, top), CELL_PX)
    write_figure(sheet.figure, path.with_suffix(""))


def distorted_columns(conf: Path) -> list[DictConfig]:
    """The data configurations in a folder that have a distortion, small images first.

    Raises:
        ValueError: There is none.
    """
    columns = list(configurations(conf).values())
    if not columns:
        raise ValueError(f"no data configuration with a distortion in {conf.absolute()}")
    return sorted(columns, key=lambda column: (*column.image_size, column.name))


def main() -> None:
    """Parses the command line and writes the sheet."""
    parser = argparse.ArgumentParser(prog="python -m stn.distortions", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("reports/distortions.png"))
    parser.add_argument("--seed", type=int, default=0, help="data seed of the distortions")
    parser.add_argument("--conf", type=Path, default=CONF / "data")
    parser.add_argument("--data-dir", type=Path, default=folder("STN_DATA_DIR", "data"))
    arguments = parser.parse_args()
    try:
        columns = distorted_columns(arguments.conf)
        out = arguments.out.with_suffix(".png")
        write_sheet(columns, arguments.data_dir, arguments.seed, out)
    except (OSError, ValueError) as error:
        parser.exit(1, f"{type(error).__name__}: {error}\n")
    print(f"{out}: {len(columns)} distortions of {NUM_CLASSES} digits")


if __name__ == "__main__":
    main()
