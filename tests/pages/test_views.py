from collections.abc import Callable
from pathlib import Path

import pytest

from stn.inspecting.answers import Answers
from stn.pages.views import View, views
from stn.results.collect import collect
from stn.results.comparison import compare
from stn.results.table import PlannedRun, parse_table
from tests.pages.conftest import DIGITS

Look = Callable[..., dict[str, View]]


@pytest.fixture
def look(trained: Path, mnist_dir: Path) -> Look:
    """The views of the trained cells, by row, where their folders are looked for in `sources`."""
    table, records = parse_table("digits", DIGITS), collect(trained / "runs").records
    rows = {"cnn": "cnn", "st_cnn": "st"}
    runs = [PlannedRun(r.run_id, rows[r.model], "R", 0, (), 1.0, {}) for r in records]
    comparison = compare(table, "smoke", runs, records, lambda code, config: True)

    def found(*sources: Path, **chosen: bool) -> dict[str, View]:
        made = views(comparison, sources, str(mnist_dir), **chosen)
        assert [view.key for view in made] == ["digits-smoke-R-cnn", "digits-smoke-R-st"]
        return {view.cell.row.key: view for view in made}

    return found


def test_all_that_a_run_left_is_shown_beside_its_baseline(look: Look, runs: Path) -> None:
    found = look(runs.parent, runs)
    titles = [chart.title for chart in found["st"].charts]
    assert titles[:3] == ["validation error", "training loss", "theta"]
    assert len(found["st"].gallery) >= 2
    assert found["cnn"].gallery == []
    for row, view in found.items():
        assert isinstance(view.images, Answers)
        assert view.images.baseline == ("CNN" if row == "st" else None)
        record, confusion = view.shown, view.images.confusion
        right = sum(confusion[i][i] for i in range(10))
        # The matrix is of the network that the record is of.
        error = 100 * (1 - right / view.images.num)
        assert error == pytest.approx(record.metrics["test_error_percent"])
        assert sum(map(sum, confusion)) == record.num_test
        assert "mnist_r" in view.config
        assert view.damaged == []


def test_a_record_alone_has_neither_curves_nor_pictures(look: Look, tmp_path: Path) -> None:
    for view in look(tmp_path / "nowhere").values():
        assert (view.has_folder, view.charts, view.gallery) == (False, [], ())
        assert view.images == "no run left its weights here"
        assert view.costs["num_runs"] == 1


def test_a_published_network_has_images_but_no_curves(look: Look, runs: Path) -> None:
    for folder in runs.iterdir():
        (folder / "metrics.csv").unlink()
    for view in look(runs).values():
        assert (view.charts, view.damaged, view.has_folder) == ([], [], True)
        assert isinstance(view.images, Answers)


def test_networks_do_not_run_unless_asked(look: Look, runs: Path) -> None:
    for view in look(runs, with_images=False).values():
        assert view.images == "none was asked for"
        assert view.charts


def test_what_is_damaged_in_a_folder_is_named_and_the_rest_is_shown(look: Look, runs: Path) -> None:
    (network,) = runs.glob("st_cnn-*")
    (network / "metrics.csv").write_text("step,metric,value\n5,val_error_percent,much\n")
    (network / "panels/step_000000.png").write_bytes(b"no picture")
    (network / "weights.pt").write_bytes(b"no weights")
    found = look(runs)
    assert ["metrics.csv" in found["st"].damaged[0], "panels" in found["st"].damaged[1]] == [
        True
    ] * 2
    assert isinstance(found["st"].images, str)
    assert "weights.pt" in found["st"].images
    assert isinstance(found["cnn"].images, Answers)


def test_without_the_data_it_is_said_that_they_are_not_there(
    look: Look, runs: Path, mnist_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stn.data import mnist_source

    monkeypatch.setattr(mnist_source, "CHECKSUMS", dict.fromkeys(mnist_source.CHECKSUMS, "0"))
    for view in look(runs).values():
        assert isinstance(view.images, str)
        assert "Error" in view.images
        assert view.charts
