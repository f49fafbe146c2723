import io
import json
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import nn

from stn.callbacks.panels import Panels, read_panel, written_answers
from stn.data.distortions import Rotate
from stn.data.mnist import MnistDataModule
from stn.drawing.panels import SIDE_PX
from stn.drawing.tiles import tile
from stn.models.mnist import Fcn, StFcn
from stn.tasks.house_numbers import NONE
from stn.transformers import Affine

from ..tasks.test_task import task_of

SHAPE = (1, 28, 28)


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
    U, labels = data.panel_batch(10)
    answers = network.eval()(U).argmax(dim=1)
    for path in tmp_path.glob("panels/step_000024.png"):
        picture, rows, histograms = read_panel(path)
        for row in rows:
            i, box = row["image"], row["boxes"]["input"]
            assert (row["step"], row["transformer"]) == (24, 1)
            assert (row["true"], row["predicted"]) == (str(int(labels[i])), str(int(answers[i])))
            assert picture.crop(box).tobytes() == tile(U[i], SIDE_PX).tobytes()
        assert [row["image"] for row in rows] == [*range(10)]
        counts, edges = histograms["warp/scale"]
        assert sum(counts) == 64  # a batch
        assert len(edges) == len(counts) + 1


def told(**content: Any) -> bytes:
    """A picture of 20 x 10 pixels that tells this."""
    info, file = PngInfo(), io.BytesIO()
    info.add_text("told", json.dumps(content), zip=True)
    Image.new("RGB", (20, 10)).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def row(*box: int) -> dict[str, Any]:
    return {"image": 0, "transformer": 1, "warp": 0.5, "boxes": {"input": box}}


def test_a_picture_tells_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "step_000001.png"
    path.write_bytes(told(rows=[row(0, 0, 20, 10)]))
    picture, rows, histograms = read_panel(path)
    assert (picture.size, rows[0]["warp"], histograms) == ((20, 10), 0.5, {})
    path.write_bytes(told())
    assert read_panel(path)[1] == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GIF89a",
        told(rows=[row(0, 0, 20, 10)])[:60],
        told(rows=[row(0, 0, 10**9, 10)]),
        told(rows=[row(5, 0, 5, 10)]),
        told(rows=[{"image": 0}]),
        told(rows=3),
        # 10^10 pixels, in its header alone
        told()[:16] + (10**5).to_bytes(4, "big") * 2 + told()[24:],
    ],
)
def test_a_damaged_picture_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "step_000001.png").write_bytes(content)
    with pytest.raises((OSError, ValueError), match=r"step_000001\.png"):
        read_panel(tmp_path / "step_000001.png")


def several_digits(seen: torch.Tensor) -> torch.Tensor:
    """Logits (B, 3, 11) of the digits 1, 2 and none."""
    return nn.functional.one_hot(torch.tensor([1, 2, NONE]), 11).float().expand(len(seen), 3, 11)


@pytest.mark.parametrize(
    ("outputs", "targets", "wanted"),
    [
        (several_digits(torch.ones(1)), torch.tensor([[1, 10, 10]]), [("1", "12")]),
        (torch.eye(12)[[11]], torch.tensor([10]), [("10", "11")]),
        (torch.ones(1, 12), torch.ones(1), []),  # numbers, not classes
        (torch.ones(1, 12), torch.ones(1, 3, dtype=torch.long), []),
        ((torch.ones(1, 12),), torch.ones(1, dtype=torch.long), []),
    ],
)
def test_answers_are_written_where_there_are_classes(outputs, targets, wanted) -> None:
    assert written_answers(outputs, targets) == wanted


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
