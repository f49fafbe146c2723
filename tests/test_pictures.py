import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image

from stn.pictures import CONF, draw_table, main
from stn.running.cell import Cell, run_cell


def config_of(folder: Path, *overrides: str) -> dict[str, Any]:
    places = [f"source={folder}/runs", f"out={folder}/reports", "recipe=smoke"]
    with initialize_config_dir(CONF, version_base="1.3"):
        config: Any = OmegaConf.to_container(
            compose("pictures", overrides=[*places, *overrides]), resolve=True
        )
    return config


def pictures(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("reports/*"))


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
    return made


def test_pictures_of_what_there_is_again_and_again(
    cells: list[Cell], tmp_path: Path, capsys
) -> None:
    assert draw_table(config_of(tmp_path)) == []
    said = capsys.readouterr().out
    assert "no picture of RTS, P, E, TC, MNIST: needs a finished cnn" in said
    assert pictures(tmp_path) == ["table1_R.png", "table1_R_alignment.png"]
    first = [path.read_bytes() for path in sorted(tmp_path.glob("reports/*"))]
    for name in pictures(tmp_path):
        assert f"wrote {tmp_path}/reports/{name}" in said
        with Image.open(tmp_path / "reports" / name) as picture:
            assert picture.width > 800
    draw_table(config_of(tmp_path))
    assert [path.read_bytes() for path in sorted(tmp_path.glob("reports/*"))] == first

    (cells[1].folder / "weights.pt").unlink()
    (problem,) = draw_table(config_of(tmp_path))
    assert "no picture of R: FileNotFoundError" in problem
    assert cells[1].run_id in problem


def test_an_unknown_baseline_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown baseline mlp; valid are cnn, fcn"):
        draw_table(config_of(tmp_path, "baseline=mlp"))


def test_nothing_to_draw_is_said_and_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["stn.pictures", "table=table1", "recipe=quick"])
    monkeypatch.delenv("STN_RUNS_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code is None
    assert "no picture of R, RTS, P, E, TC, MNIST: needs a finished cnn" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
