"""Commands of training begin with what Hydra can compose, or end in one line."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from stn import evaluate, report, train
from stn.entry import said


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["model=5"], "model: expected a name of conf/model, found 5"),
        (["recipe=null"], "recipe: expected a name of conf/recipe, found null"),
        (["-m", "recipe={a:1}"], "recipe: expected a name of conf/recipe, found {a:1}"),
        (["-m", "model=cnn,5"], "ValueError: Config group override must be a string or a list."),
        (["model=nope"], "In 'train': Could not find 'model/nope'; there are cnn, cnn3d,"),
        (
            ["-m", "model=cnn,nope"],
            "ValueError: In 'train': Could not find 'model/nope'; there are cnn,",
        ),
        (["nothing=1"], "Could not override 'nothing'."),
        (["seed='${nothing}'"], "Interpolation key 'nothing' not found"),
        (["seed=[1"], "seed=[1: no viable alternative"),
        (["runs_dir=~/x"], "runs_dir=~/x: text with such characters has quotes"),
        (["hydra/launcher=null"], "hydra/launcher: expected a name of conf/hydra/launcher"),
        (["+table=5"], "table: expected a name of conf/table, found 5"),
    ],
)
def test_what_cannot_be_composed_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], answer: str
) -> None:
    monkeypatch.setenv("STN_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setattr(sys, "argv", ["stn.train", *arguments])
    with pytest.raises(SystemExit) as stop:
        train.main()
    assert str(stop.value.code).startswith(answer)
    assert "\n" not in str(stop.value.code)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("command", "arguments", "answer"),
    [
        (train, ["+foo=1"], "'foo': there is no such key"),
        (train, ["reports_dir=/dev/null"], "reports_dir: /dev/null is no folder"),
        (report, ["out=/dev/null"], "out: /dev/null is no folder"),
        (evaluate, ["run=5"], "run: "),
    ],
)
def test_what_a_command_refuses_is_all_that_it_says(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: ModuleType,
    arguments: list[str],
    answer: str,
) -> None:
    monkeypatch.setattr(sys, "argv", [command.__name__, *arguments])
    with pytest.raises(SystemExit) as stop:
        command.main()
    assert str(stop.value.code).startswith(answer)
    assert "\n" not in str(stop.value.code)
    assert capsys.readouterr().err == ""


def test_instructions_of_several_lines_are_kept() -> None:
    assert said(ValueError("MNIST is incomplete:\n  1. Put it there")).count("\n") == 1
