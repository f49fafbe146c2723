"""Appendix A.2 from its command to its pictures: a column of co-localisation, of three classes."""

import sys
from pathlib import Path

import pytest
import yaml

from stn import pictures, train
from stn.results.collect import collect
from tests.conftest import CONF

COMMON = ("recipe=smoke", "table.only=[TC]")
CHOSEN = ("data.module.num_val=300", "recipe.max_steps=2")


def test_a_smoke_table(mnist_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("runs", "reports"):
        monkeypatch.setenv(f"STN_{name.upper()}_DIR", str(tmp_path / name))
    table = yaml.safe_load((CONF / "table/colocalisation.yaml").read_text())
    table["rows"] = table["rows"][:3]
    table["paper"]["numbers"] = {"T": {row["key"]: 100 for row in table["rows"]}}
    (tmp_path / "mine/table").mkdir(parents=True)
    (tmp_path / "mine/table/three.yaml").write_text(yaml.safe_dump(table))
    mine = f"--config-dir={tmp_path}/mine"
    argv = ["stn.train", "-m", mine, "+table=three", "logger=csv", *COMMON, *CHOSEN]
    monkeypatch.setattr(sys, "argv", argv)
    train.main()
    records = collect(tmp_path / "runs").records
    assert len(records) == 3
    for record in records:
        assert (record.status, record.num_test, record.task) == ("finished", 8, "colocalisation")
        assert record.num_images == {"train": 8, "val": 8, "test": 8, "labelled": 340}
    report = (tmp_path / "reports/three_smoke.md").read_text()
    mean = sum(record.metrics["test_localised_percent"] for record in records) / 3
    assert f"| mean of the classes | – / – | – / {mean:.1f} |" in report
    argv = ["stn.pictures", mine, "table=three", *COMMON, f"out={tmp_path}/pictures"]
    argv.append(f"overrides=[{','.join(repr(override) for override in CHOSEN)}]")
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.raises(SystemExit) as end:
        pictures.main()
    assert not end.value.code
    assert sorted(path.name for path in tmp_path.glob("pictures/*")) == [
        f"three_smoke_TC_training.{ending}" for ending in ("png", "svg")
    ]
