import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from stn.pictures import main
from stn.results.records import Record, read_record, write_record
from stn.running.cell import run_cell
from stn.running.preparing import Cell
from tests.results.conftest import STUDY

# What `make_cell` says besides the cell's names.
OVERRIDES = "overrides=['recipe.batch_size=64','recipe.max_steps=20','data.module.num_val=128']"
Pictures = Callable[..., str]


@pytest.fixture
def pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Pictures:
    """Run the command; return what it says, and what it stops with."""

    def run(*overrides: str) -> str:
        places = [f"source={tmp_path}/runs", f"out={tmp_path}/reports", "recipe=smoke"]
        monkeypatch.setattr(sys, "argv", ["stn.pictures", *overrides, *places])
        with pytest.raises(SystemExit) as stop:
            main()
        return capsys.readouterr().out + str(stop.value.code)

    return run


def written(folder: Path) -> list[Path]:
    return sorted(folder.glob("reports/*"))


@pytest.fixture
def cells(make_cell: Callable[..., Cell]) -> list[Cell]:
    """A finished CNN that takes every digit for a 7, and finished rivals."""
    made = [make_cell("model=cnn")]
    made += [make_cell("model=st_cnn", f"transform={name}") for name in ("affine", "tps")]
    for cell in made:
        run_cell(cell)
    path = made[0].folder / "weights.pt"
    weights = torch.load(path, weights_only=True)
    *_, bias = weights.values()
    bias[7] = 1e6
    torch.save(weights, path)
    told = read_record(path.with_name("result.json")).model_dump()
    told["weights_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    write_record(path.with_name("result.json"), Record(**told))
    return made


def test_pictures_of_what_there_is_again_and_again(
    cells: list[Cell], tmp_path: Path, pictures: Pictures
) -> None:
    said = pictures(OVERRIDES, "table.only=[R,E]")
    assert said.endswith("None")
    assert "no picture of R, E: needs finished runs of one seed of fcn" in said
    assert "no picture of E: needs finished runs of one seed of cnn" in said
    stems = "table1_smoke_R_cnn", "table1_smoke_R_cnn_alignment"
    names = sorted(f"{stem}.{ending}" for stem in stems for ending in ("png", "svg"))
    assert [path.name for path in written(tmp_path)] == names
    first = [path.read_bytes() for path in written(tmp_path)]
    for path in written(tmp_path):
        assert f"wrote {path}" in said
    for path in tmp_path.glob("reports/*.png"):
        with Image.open(path) as picture:
            assert picture.width > 800
    pictures(OVERRIDES, "table.only=[R]", "baseline=cnn")
    assert [path.read_bytes() for path in written(tmp_path)] == first

    (cells[1].folder / "weights.pt").unlink()
    said = pictures(OVERRIDES, "table.only=[R]")
    assert "has no weights.pt, without which the run cannot be restored" in said
    assert cells[1].run_id in said


def test_an_unknown_baseline_lists_the_known(pictures: Pictures) -> None:
    assert "unknown baseline mlp; valid are fcn, cnn" in pictures("baseline=mlp")


@pytest.mark.parametrize("num", ["0", "-1", "1.5", "all"])
def test_a_number_of_images_that_cannot_be_is_refused(pictures: Pictures, num: str) -> None:
    assert "num_images: Input should be " in pictures(f"num_images={num}")


def test_nothing_to_draw_is_said_and_is_no_failure(tmp_path: Path, pictures: Pictures) -> None:
    said = pictures("table.only=[R,P]")
    assert "no picture of R, P: needs finished runs of one seed of cnn" in said
    assert said.endswith("None")
    assert not written(tmp_path)


def test_a_table_without_baselines_and_without_transformers_has_no_picture(
    tmp_path: Path, pictures: Pictures
) -> None:
    (tmp_path / "mine/table").mkdir(parents=True)
    (tmp_path / "mine/table/study.yaml").write_text(yaml.safe_dump(STUDY))
    said = pictures(f"--config-dir={tmp_path}/mine", "table=study")
    assert "no picture of R: needs a transformer's run in" in said
    assert said.endswith("None")
