from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

from stn.callbacks.panels import GAP_PX, MARGIN_PX, SIDE_PX, Panels, draw_panels
from stn.data.distortions import Rotate
from stn.data.mnist import MnistDataModule
from stn.drawing.warps import warp
from stn.models.mnist import Fcn, StFcn
from stn.transformers import Affine

from ..tasks.test_task import task_of

SHAPE = (1, 28, 28)


def test_a_row_for_each_stage_and_a_column_for_each_digit() -> None:
    transformer = StFcn((1, 20, 40), 10, 4, Affine(), output_size=(30, 10)).transformer
    drawn = warp(transformer, torch.ones(2, 1, 20, 40))
    sheet, step = draw_panels(drawn), SIDE_PX + 2 * MARGIN_PX + GAP_PX
    assert sheet.size == (2 * step + GAP_PX, 3 * step + GAP_PX)
    for row, picture in enumerate(drawn.tiles(1, SIDE_PX, MARGIN_PX)):
        left, top = GAP_PX + step, GAP_PX + row * step
        assert sheet.crop((left, top, left + picture.width, top + picture.height)) == picture


@pytest.mark.parametrize("has_transformer", [True, False])
def test_pictures_before_during_and_after_training(
    tmp_path: Path, mnist_dir: Path, has_transformer: bool
) -> None:
    data = MnistDataModule(Rotate(max_deg=90, size=(28, 28)), 128, 64, 0, 0, mnist_dir)
    network = StFcn(SHAPE, 10, 4, Affine()) if has_transformer else Fcn(SHAPE, 10, 4)
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
    data = MnistDataModule(Rotate(max_deg=90, size=(28, 28)), 128, 64, 0, 0, mnist_dir)
    pl.Trainer(
        accelerator="cpu",
        fast_dev_run=True,
        callbacks=[Panels(tmp_path)],
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(task_of(StFcn(SHAPE, 10, 4, Affine())), data)
    assert list(tmp_path.glob("*.png"))
