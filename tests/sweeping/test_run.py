import shutil
from collections.abc import Callable

import pytest

from stn.running.cell import run_cell
from stn.running.preparing import Cell
from stn.sweeping.run import Job, Sweep, split
from stn.tasks.task import DivergedError


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
        sweep = Sweep([Job(c.run_id, ()) for c in cells], "T", done.folder.parent, retry)
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
