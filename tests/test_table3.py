"""Table 3 from its command to its report, on made-up birds in the official layout."""

import sys
from pathlib import Path

import pytest

from stn import train
from stn.results.collect import collect
from tests.cub_files import write


def test_a_smoke_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "data/cub", train=14)  # two of 42 are held out
    for name in ("data", "runs", "reports"):
        monkeypatch.setenv(f"STN_{name.upper()}_DIR", str(tmp_path / name))
    chosen = ["recipe=smoke", "logger=csv", "recipe.max_steps=1", "recipe.batch_size=2"]
    monkeypatch.setattr(sys, "argv", ["stn.train", "-m", "+table=table3", *chosen])
    train.main()
    records = collect(tmp_path / "runs").records
    assert len(records) == 4
    for record in records:
        assert (record.status, record.num_test) == ("finished", 9)
        assert {"val_accuracy_percent", "test_accuracy_percent"} == record.metrics.keys()
    report = (tmp_path / "reports/table3_smoke.md").read_text()
    assert "| Simon et al. 2015 | 81.0 / – |" in report
    assert "missing" not in report.split("Where there is no number")[0]
    (parallel,) = {r.run_id for r in records if r.config["data"]["name"] == "cub"} - {
        r.run_id for r in records if r.model == "cub_cnn"
    }
    assert [*(tmp_path / "runs" / parallel / "panels").glob("*.png")]
