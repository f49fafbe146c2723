"""Table 2 from its command to its report, on made-up house numbers in the official form."""

import sys
from pathlib import Path

import pytest

from stn import train
from stn.results.collect import collect
from tests.svhn_files import made_up, write


def test_a_smoke_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "data/svhn/train", made_up(40, seed=0))
    write(tmp_path / "data/svhn/test", made_up(15, seed=1))
    for name in ("data", "runs", "reports"):
        monkeypatch.setenv(f"STN_{name.upper()}_DIR", str(tmp_path / name))
    chosen = ["recipe=smoke", "logger=csv", "recipe.batch_size=8", "recipe.max_steps=2"]
    monkeypatch.setattr(sys, "argv", ["stn.train", "-m", "+table=table2", *chosen])
    train.main()
    records = collect(tmp_path / "runs").records
    assert len(records) == 6
    for record in records:
        assert record.num_test == 15
        assert record.metrics.keys() == {
            f"{split}_{what}_error_percent"
            for split in ("val", "test")
            for what in ("number", "digit", "length")
        }
    report = (tmp_path / "reports/table2_smoke.md").read_text()
    assert "| Maxout CNN | 4.0 / – |" in report
    assert "missing" not in report.split("Where there is no number")[0]
    multi = next(tmp_path.glob("runs/svhn_st_cnn_multi-*"))
    assert [*multi.glob("panels/*.png")]
