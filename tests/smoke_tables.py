"""A table as `make reproduce-<table>` runs it, in seconds: trained, rendered, drawn."""

import sys
from pathlib import Path

import pytest

from stn import looks, pictures, train
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
    monkeypatch.setattr(pictures, "NUM_IMAGES", 3)  # to be drawn
    with pytest.raises(SystemExit) as end:
        pictures.main()
    assert not end.value.code, end.value.code
    report = (folder / f"reports/{'study_' * (group == 'study')}{table}_smoke.md").read_text()
    assert "missing" not in report.split("Where there is no number")[0]
    return collect(folder / "runs").records, report


def looked_at(run: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Say and draw where the transformers of a run look; return the page."""
    argv = ["stn.looks", f"run={run}", f"out={folder}/looks", "num_images=3"]
    monkeypatch.setattr(sys, "argv", argv)
    looks.main()
    page = folder / f"looks/{run.name}_looks.md"
    assert all(page.with_suffix(ending).stat().st_size > 1000 for ending in (".png", ".svg"))
    return page.read_text()
