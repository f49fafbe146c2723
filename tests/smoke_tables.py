"""A table as `make reproduce-<table>` runs it, in seconds: trained, rendered, drawn."""

import sys
from pathlib import Path

import pytest

from stn import pictures, train
from stn.results.collect import collect
from stn.results.records import Record


def reproduce(
    table: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *chosen: str
) -> tuple[list[Record], str]:
    """Run a table of the data in `folder/data`; return its records, and its report."""
    for name in ("data", "runs", "reports"):
        monkeypatch.setenv(f"STN_{name.upper()}_DIR", str(folder / name))
    overrides = [f"+table={table}", "recipe=smoke", "logger=csv", *chosen]
    monkeypatch.setattr(sys, "argv", ["stn.train", "-m", *overrides])
    train.main()
    drawn = [f"table={table}", "recipe=smoke", f"out={folder}/pictures"]
    quoted = [f"'{override}'" for override in chosen]
    drawn.append(f"overrides=[{','.join(quoted)}]")
    monkeypatch.setattr(sys, "argv", ["stn.pictures", *drawn])
    with pytest.raises(SystemExit) as end:
        pictures.main()
    assert not end.value.code
    report = (folder / f"reports/{table}_smoke.md").read_text()
    assert "missing" not in report.split("Where there is no number")[0]
    return collect(folder / "runs").records, report
