from pathlib import Path

import pytest

from stn.callbacks.metrics import MetricsFile


def logged(path: Path, *steps: int) -> MetricsFile:
    metrics = MetricsFile(path)
    metrics.on_fit_start()
    for step in steps:
        metrics.log_metrics({"loss": step / 2}, step)
    return metrics


def test_one_row_a_number(tmp_path: Path) -> None:
    logged(tmp_path / "metrics.csv", 0, 1)
    text = (tmp_path / "metrics.csv").read_text()
    assert text == "step,metric,value\n0,loss,0.0\n1,loss,0.5\n"


def test_resuming_cuts_off_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    metrics = logged(tmp_path / "metrics.csv", 0, 1)
    checkpoint, before = metrics.state_dict(), metrics.path.read_bytes()
    metrics.log_metrics({"loss": 9.0}, 2)

    resumed = MetricsFile(tmp_path / "metrics.csv")
    resumed.load_state_dict(checkpoint)
    resumed.on_fit_start()
    assert resumed.path.read_bytes() == before


def test_a_run_from_the_start_begins_the_file_anew(tmp_path: Path) -> None:
    logged(tmp_path / "metrics.csv", 0, 1, 2)
    logged(tmp_path / "metrics.csv", 0)
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"step,metric,value\n1,loss",
        b"step,metric,value\n1,loss,x",
        b"a\n\xff",
        b"step,metric,value\n1," + b"x" * 200_000 + b",1",
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "metrics.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"metrics\.csv is damaged"):
        MetricsFile(tmp_path / "metrics.csv").rows()
