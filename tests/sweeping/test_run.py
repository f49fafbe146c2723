import json
import shutil
from collections.abc import Callable

import pytest
from rich.console import Console

from stn.results.records import NewerRecordError
from stn.results.table import PlannedRun
from stn.running.cell import run_cell
from stn.running.preparing import Cell
from stn.sweeping.planning import Sweep
from stn.sweeping.run import run_missing, split
from stn.tasks.task import DivergedError

LATER_FIELDS = {"peak_rss_mib", "cpu_s", "num_images", "code", "weights_sha256"}


def test_only_what_is_not_finished_is_missing(make_cell: Callable[..., Cell]) -> None:
    done, diverged = make_cell("model=fcn"), make_cell("model=fcn", "recipe.optimizer.lr=1e30")
    never, torn = make_cell("model=fcn", "seed=5"), make_cell("model=fcn", "seed=6")
    run_cell(done)
    with pytest.raises(DivergedError):
        run_cell(diverged)
    torn.folder.mkdir(parents=True)
    (torn.folder / "result.json").write_text("")
    foreign = make_cell("model=fcn", "seed=7")
    foreign.folder.mkdir()
    shutil.copy(diverged.folder / "result.json", foreign.folder)

    def found(retry: str | None) -> tuple[list[bool], list[str]]:
        cells = [done, diverged, never, torn, foreign]
        sweep = Sweep([PlannedRun(c.run_id) for c in cells], "T", done.folder.parent, retry)
        missing, left, summary = split(sweep)
        summary, *damaged = summary.splitlines()
        assert damaged == [
            f"{torn.folder}/result.json: is empty: the cell is run again",
            f"{foreign.folder}/result.json: holds the record of another run, {diverged.run_id}: "
            "the cell is run again",
        ]
        assert summary.startswith("T: 5 cells, 1 already done")
        assert ("1 left as failed or diverged" in summary) == bool(left)
        return [job in missing for job in sweep.jobs], left

    (said,) = found(None)[1]
    assert said.startswith(f"{diverged.run_id}: diverged in an earlier sweep: DivergedError(")
    again = [True, True, True]
    assert found(None) == ([False, False, *again], [said])
    assert found("diverged") == ([False, True, *again], [])
    assert found("failed") == ([False, False, *again], [said])


def test_two_versions_of_the_package_share_a_folder_of_runs(
    make_cell: Callable[..., Cell], capsys: pytest.CaptureFixture[str]
) -> None:
    """What an older one finished is done; what a newer one did is left, to the byte."""
    older, newer = (make_cell("model=fcn", "recipe.max_steps=2", f"seed={s}") for s in (0, 1))
    for cell, change in ((older, {}), (newer, {"schema": 3})):
        run_cell(cell)
        path = cell.folder / "result.json"
        told = json.loads(path.read_text()) | change
        if cell is older:  # these came later than the first records
            told = {k: v for k, v in told.items() if k not in LATER_FIELDS}
        path.write_text(json.dumps(told))
    before = (newer.folder / "result.json").read_bytes()
    sweep = Sweep([PlannedRun(c.run_id) for c in (older, newer)], "T", older.folder.parent)
    missing, (said,), summary = split(sweep)
    assert missing == []
    assert summary == "T: 2 cells, 1 already done"
    assert said.startswith(f"{newer.run_id}: {newer.folder}/result.json: schema 3 is of a newer")
    capsys.readouterr()
    run_cell(older)
    assert "already done" in capsys.readouterr().out
    with pytest.raises(NewerRecordError, match="newer version of this package"):
        run_cell(newer)
    assert (newer.folder / "result.json").read_bytes() == before


def test_what_stops_the_launcher_is_said(make_cell: Callable[..., Cell]) -> None:
    cell = make_cell("model=fcn")
    sweep = Sweep([PlannedRun(cell.run_id)], "T", cell.folder.parent)
    error = RuntimeError("a worker was killed\nand more")
    assert run_missing(sweep, sweep.jobs, lambda runs: ([], error), Console()) == [
        "the launcher stopped, 1 of 1 cells are not finished: RuntimeError: a worker was killed",
        f"{cell.run_id}: stopped, or still running",
        "the same command goes on from the last checkpoints",
    ]
