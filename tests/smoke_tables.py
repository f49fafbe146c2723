"""A table as `make reproduce-<table>` runs it, in seconds: trained, rendered, drawn."""

import sys
from pathlib import Path

import pytest

from stn import pictures, train
from stn.results.collect import collect
from stn.results.records import Record


def reproduce(
    table: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *chosen: str, group: str = "table"
) -> tuple[list[Record], str]:
    """Run a table or a study of the data in `folder/data`; return its records, and its report."""
    for name in ("data", "runs", "reports"):
        monkeypatch.setenv(f"STN_{name.upper()}_DIR", str(folder / name))
    overrides = [f"+{group}={table}", "recipe=smoke", "logger=csv", *chosen]
    if group == "study":
        overrides += ["study.seeds=1", "study.only=null"]
    monkeypatch.setattr(sys, "argv", ["stn.train", "-m", *overrides])
    train.main()
    drawn = [f"{group}={table}", "recipe=smoke", f"out={folder}/pictures"]
    quoted = [f"'{override}'" for override in chosen]
    drawn.append(f"overrides=[{','.join(quoted)}]")
    monkeypatch.setattr(sys, "argv", ["stn.pictures", *drawn])
    with pytest.raises(SystemExit) as end:
        pictures.main()
    assert not end.value.code
    report = (folder / f"reports/{'study_' * (group == 'study')}{table}_smoke.md").read_text()
    assert "missing" not in report.split("Where there is no number")[0]
    return collect(folder / "runs").records, report
