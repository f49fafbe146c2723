"""One picture of what every distortion does: a row for each, a column for each class of digit.

    python -m stn.distortions --out reports/distortions.png --seed 0

Rows are the data configurations that have a distortion (`conf/data/*.yaml`), with the numbers they
state; columns are the fixed validation digits that the panels of a training run show.
"""

import stn.extra  # noqa: F401  # isort: skip

import argparse
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from stn.configuration import CONF, folder
from stn.data.mnist import NUM_CLASSES, MnistDataModule
from stn.drawing.tiles import PAPER, tile
from stn.running.building import instantiate

CELL_PX, GAP_PX, MARGIN_PX, LABEL_PX, HEADER_PX = 168, 8, 24, 290, 56
INK, FAINT = "black", "#666666"


def write_sheet(columns: list[DictConfig], data_dir: Path, seed: int, path: Path) -> None:
    """Draws the sheet of these data configurations and writes it as a PNG."""
    width = 2 * MARGIN_PX + LABEL_PX + NUM_CLASSES * (CELL_PX + GAP_PX) - GAP_PX
    height = 2 * MARGIN_PX + HEADER_PX + len(columns) * (CELL_PX + GAP_PX) - GAP_PX
    sheet = Image.new("RGB", (width, height), PAPER)
    _draw_header(sheet)
    for row, column in enumerate(columns):
        digits, labels = _panel(column, data_dir, seed)
        top = MARGIN_PX + HEADER_PX + row * (CELL_PX + GAP_PX)
        _draw_label(sheet, top, column)
        for digit, label in zip(digits, labels.tolist(), strict=True):
            sheet.paste(tile(digit, CELL_PX), (_left(label), top))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def distorted_columns(conf: Path) -> list[DictConfig]:
    """The data configurations in a folder that have a distortion, small images first.

    Raises:
        ValueError: There is none.
    """
    configs = [OmegaConf.create({"data": OmegaConf.load(path)}) for path in conf.glob("*.yaml")]
    columns = [c.data for c in configs if OmegaConf.select(c, "data.module.distortion")]
    if not columns:
        raise ValueError(f"no data configuration with a distortion in {conf.absolute()}")
    return sorted(columns, key=lambda column: (*column.image_size, column.name))


def _panel(column: DictConfig, data_dir: Path, seed: int) -> tuple[Tensor, Tensor]:
    data = MnistDataModule(
        instantiate(column.module.distortion),
        batch_size=1,
        num_val=column.module.num_val,
        seed=seed,
        data_seed=seed,
        data_dir=data_dir,
    )
    return data.panel_batch(NUM_CLASSES)


def _distortion_arguments(column: DictConfig) -> dict[str, Any]:
    plain = OmegaConf.to_container(column.module.distortion, resolve=True)
    assert isinstance(plain, dict)
    return {str(name): value for name, value in plain.items()}


def _draw_header(sheet: Image.Image) -> None:
    draw = ImageDraw.Draw(sheet)
    for label in range(NUM_CLASSES):
        middle = _left(label) + CELL_PX // 2
        draw.text((middle, MARGIN_PX), str(label), INK, ImageFont.load_default(36), anchor="mt")


def _draw_label(sheet: Image.Image, top: int, column: DictConfig) -> None:
    """The column's name, and what its configuration says, on the left of its row."""
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN_PX, top), column.label, INK, ImageFont.load_default(40))
    arguments = _distortion_arguments(column)
    height, width = arguments.pop("size")
    lines = [arguments.pop("_target_").rpartition(".")[2], f"{height} x {width} px"]
    lines += [f"{name}: {value}" for name, value in arguments.items()]
    draw.text((MARGIN_PX, top + 50), "\n".join(lines), FAINT, ImageFont.load_default(19))


def _left(label: int) -> int:
    return MARGIN_PX + LABEL_PX + label * (CELL_PX + GAP_PX)


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
        write_sheet(columns, arguments.data_dir, arguments.seed, arguments.out)
    except (OSError, ValueError) as error:
        parser.exit(1, f"{type(error).__name__}: {error}\n")
    print(f"{arguments.out}: {len(columns)} distortions of {NUM_CLASSES} digits")


if __name__ == "__main__":
    main()
