from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

from stn.callbacks.panels import BACKGROUND, CELL_PX, GAP_PX, LINE_COLOUR, Panels, draw_panels
from stn.data.distortions import Rotate
from stn.data.mnist import MnistDataModule
from stn.models.mnist import Fcn, StFcn
from stn.transformers import Affine

from ..tasks.test_classification import task_of


def test_three_rows_of_square_cells_whatever_the_sizes() -> None:
    U, V = torch.ones(2, 1, 20, 40), torch.zeros(2, 1, 30, 10)
    border = torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]]).repeat(2, 1, 1)
    sheet = draw_panels(U, border, V)
    step = CELL_PX + GAP_PX
    assert sheet.size == (2 * step + GAP_PX, 3 * step + GAP_PX)
    assert sheet.getpixel((GAP_PX + 5, GAP_PX + 5)) == (255, 255, 255)
    assert sheet.getpixel((GAP_PX + 5, GAP_PX + CELL_PX // 2 + 5)) == BACKGROUND  # half as high
    assert sheet.getpixel((GAP_PX + 5, GAP_PX + 2 * step + 5)) == (0, 0, 0)


def test_the_identity_outlines_the_border_pixels_and_nothing_else() -> None:
    U = torch.zeros(1, 1, 24, 24)
    border = torch.tensor([[[-1.0, -1], [1, -1], [1, 1], [-1, 1]]])
    marked = draw_panels(U, border, U).crop(
        (GAP_PX, 2 * GAP_PX + CELL_PX, GAP_PX + CELL_PX, 2 * GAP_PX + 2 * CELL_PX)
    )
    pixel = CELL_PX // 24
    middle = marked.crop((pixel, pixel, CELL_PX - pixel, CELL_PX - pixel))
    assert LINE_COLOUR in {colour for _, colour in marked.getcolors()}
    assert LINE_COLOUR not in {colour for _, colour in middle.getcolors()}


@pytest.mark.parametrize("has_transformer", [True, False])
def test_pictures_before_during_and_after_training(
    tmp_path: Path, mnist_dir: Path, has_transformer: bool
) -> None:
    data = MnistDataModule(Rotate(max_deg=90, size=(28, 28)), 64, 128, 0, 0, mnist_dir)
    network = StFcn((28, 28), 4, Affine(), (28, 28)) if has_transformer else Fcn((28, 28), 4)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=3,
        callbacks=[Panels(tmp_path / "panels", every_n_epochs=2)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    task = task_of(network)
    trainer.fit(task, data)
    trainer.validate(task, data, verbose=False)
    names = sorted(path.name for path in tmp_path.glob("panels/*"))
    expected = ["step_000000.png", "step_000016.png", "step_000024.png"]
    assert names == (expected if has_transformer else [])


def test_fast_dev_run_without_a_logger(tmp_path: Path, mnist_dir: Path) -> None:
    data = MnistDataModule(Rotate(max_deg=90, size=(28, 28)), 64, 128, 0, 0, mnist_dir)
    pl.Trainer(
        accelerator="cpu",
        fast_dev_run=True,
        callbacks=[Panels(tmp_path)],
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(task_of(StFcn((28, 28), 4, Affine(), (28, 28))), data)
    assert list(tmp_path.glob("*.png"))
