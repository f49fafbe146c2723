import importlib
import re
import shlex
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from stn.figures import main
from stn.running.preparing import Cell

Figures = Callable[..., str]


@pytest.fixture
def figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Figures:
    """Run the command; return what it says, or what it stops with."""

    def run(*overrides: str) -> str:
        monkeypatch.setattr(sys, "argv", ["stn.figures", *overrides, f"out={tmp_path}/reports"])
        try:
            main()
        except SystemExit as stop:
            return str(stop.code)
        return capsys.readouterr().out

    return run


def test_every_figure_of_runs(
    finished: Callable[..., Cell], tmp_path: Path, figures: Figures
) -> None:
    affine, tps = (finished("model=st_fcn", f"transform={name}") for name in ("affine", "tps"))
    reports = tmp_path / "reports"
    said = figures("figure=1", f"run={affine.folder}", "num_images=2")
    assert said.splitlines() == [
        f"wrote {reports}/figure1_{affine.run_id}.{ending}" for ending in ("png", "svg")
    ]
    assert "wrote" in figures("figure=3", f"run=[{affine.folder},{tps.folder}]", "image=4")
    first = {path.name: path.read_bytes() for path in reports.iterdir()}
    assert len(first) == 4
    for name, content in first.items():
        assert content.startswith(b"\x89PNG" if name.endswith(".png") else b"<?xml")
    figures("figure=1", f"run={affine.folder}", "num_images=2")
    figures("figure=3", f"run=[{affine.folder},{tps.folder}]", "image=4")
    assert first == {path.name: path.read_bytes() for path in reports.iterdir()}

    assert "wrote" in figures("figure=training", f"run={affine.folder}")
    with Image.open(reports / f"training_{affine.run_id}.gif") as film:
        assert film.n_frames == len([*(affine.folder / "panels").iterdir()]) > 2

    fcn = finished("model=fcn")
    assert "has no transformer of images" in figures("figure=1", f"run={fcn.folder}")
    assert "has no panels" in figures("figure=training", f"run={fcn.folder}")
    assert "image must be from 0 to" in figures("figure=3", f"run={tps.folder}", "image=5000")
    rotated = finished("model=st_fcn", "data=mnist_rts")
    both = f"run=[{affine.folder},{rotated.folder}]"
    assert "is of runs on the same data" in figures("figure=3", both)


@pytest.mark.parametrize(
    ("overrides", "answer"),
    [
        ((), "which figure? Say figure=1, 3 or training which run? Say run=runs/<run_id>"),
        (("figure=1",), "which run? Say run=runs/<run_id>"),
        (("figure=2", "run=nowhere"), "figure: Input should be '1', '3' or 'training'"),
        (("figure=1", "run=[a,b]"), "figure=3 takes several"),
        (("figure=3", "run=[]"), "should have at least 1 item"),
        (("figure=1", "run=nowhere"), "nowhere is not a finished run"),
        (("figure=training", "run=nowhere"), "nowhere"),
        (
            ("figure=1", "run=nowhere", "num_images=0"),
            "num_images: Input should be greater than or equal to 1, found 0",
        ),
        (
            ("figure=3", "run=nowhere", "image=-1"),
            "image: Input should be greater than or equal to 0, found -1",
        ),
    ],
)
def test_what_cannot_be_drawn_is_said(
    figures: Figures, overrides: tuple[str, ...], answer: str
) -> None:
    assert answer in figures(*overrides)


FIGURES = (Path(__file__).parents[1] / "docs/figures.md").read_text()
OF_WEIGHTS = re.findall(r"^    python -m (stn\.\w+ .*\bweights\b.*)$", FIGURES, re.MULTILINE)


@pytest.mark.integration
@pytest.mark.parametrize("command", OF_WEIGHTS)
def test_a_documented_command_draws_from_the_published_networks(
    command: str, whole_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STN_DATA_DIR", str(whole_data / "data"))
    module, *overrides = shlex.split(command)
    monkeypatch.setattr(sys, "argv", [module, *overrides, f"out={tmp_path}"])
    with suppress(SystemExit):
        importlib.import_module(module).main()
    wanted = {".gif"} if "figure=training" in overrides else {".png", ".svg"}
    assert {path.suffix for path in tmp_path.iterdir()} >= wanted


def test_the_document_has_commands_for_the_published_networks() -> None:
    assert {command.split()[0] for command in OF_WEIGHTS} == {"stn.figures", "stn.pictures"}
