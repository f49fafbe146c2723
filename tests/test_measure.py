"""`python -m stn.measure`: what a study asks of its networks gets into their records, once."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stn.measure import main
from stn.results.records import read_record
from stn.running.cell import run_cell
from stn.running.preparing import Cell

OVERRIDES = "overrides=['recipe.batch_size=64','recipe.max_steps=2','data.module.num_val=128']"
NAMES = ["test_attacked_error_percent", "test_worst_random_error_percent"]
Measure = Callable[..., str]


@pytest.fixture
def measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Measure:
    """Run the command; return what it says."""

    def run(*overrides: str) -> str:
        monkeypatch.setattr(sys, "argv", ["stn.measure", f"source={tmp_path}/runs", *overrides])
        main()
        return capsys.readouterr().out

    return run


def test_a_record_tells_what_was_measured_and_nothing_is_measured_twice(
    make_cell: Callable[..., Cell], mnist_dir: Path, measure: Measure
) -> None:
    cnn, st_cnn = (
        make_cell(*chosen, "recipe.max_steps=2")
        for chosen in (["model=cnn"], ["model=st_cnn", "transform=affine"])
    )
    for cell in (cnn, st_cnn):
        run_cell(cell)
    study = ["study=adversarial", "recipe=smoke", "study.seeds=1", "study.only=[R]", OVERRIDES]
    few = [f"study.measures.{name}.build.num_images=20" for name in NAMES]
    few.append("+study.measures.val_error_percent={label:validation,digits:2}")  # is there anyway
    paths = [cell.folder / "result.json" for cell in (cnn, st_cnn)]
    before = [read_record(path) for path in paths]
    weights = st_cnn.folder / "weights.pt"
    weights.rename(weights.with_suffix(".away"))
    said = measure(*study, *few)
    assert f"{cnn.run_id}: no {NAMES[0]}, for want of the weights of st_cnn" in said
    assert f"{st_cnn.run_id}: not measured, its weights are not here" in said
    weights.with_suffix(".away").rename(weights)
    said = measure(*study, *few)
    for path, old in zip(paths, before, strict=True):
        new = read_record(path)
        assert new.metrics.keys() == {*old.metrics, *NAMES}
        assert new.model_copy(update={"metrics": old.metrics}) == old
        assert f"{NAMES[0]} {new.metrics[NAMES[0]]:.4g}" in said
    assert measure(*study, *few) == ""


def test_a_table_that_asks_for_nothing_gets_nothing(measure: Measure) -> None:
    assert measure("study=channels") == measure("table=table1") == ""
