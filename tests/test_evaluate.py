import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stn import evaluate
from stn.results.records import read_record
from stn.running.preparing import Cell

MakeCell = Callable[..., Cell]
Evaluate = Callable[..., None]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Evaluate:
    """The command, in this process, so that it sees the small MNIST."""

    def call_with(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["stn.evaluate", *arguments])
        evaluate.main()

    return call_with


def test_the_recorded_error_exactly(
    finished: MakeCell, call: Evaluate, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = finished("model=fcn")
    recorded = read_record(cell.folder / "result.json").metrics["test_error_percent"]
    capsys.readouterr()
    call(f"run={cell.folder}")
    said = capsys.readouterr().out
    assert f"test_error_percent {recorded:.10g}; the record says {recorded:.10g}" in said
    assert "num_test 150; the record says 150" in said


def test_a_run_that_is_not_there_is_named(call: Evaluate, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="nothing is not a finished run"):
        call(f"run={tmp_path}/nothing")
    with pytest.raises(SystemExit, match=r"which run\? Say run=runs/<run_id>"):
        call()
