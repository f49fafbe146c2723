"""Table 3 from its command to its pictures, on made-up birds in the official layout."""

from pathlib import Path

import pytest

from tests.cub_files import write
from tests.smoke_tables import looked_at, reproduce


def test_a_smoke_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "data/cub", train=14)  # two of 42 are held out
    chosen = ("recipe.max_steps=1", "recipe.batch_size=2")
    records, report = reproduce("table3", tmp_path, monkeypatch, *chosen)
    assert len(records) == 4
    for record in records:
        assert (record.status, record.num_test) == ("finished", 9)
        assert record.num_images == {"train": 40, "val": 2, "test": 9}
        measured = {name for name in record.metrics if "collapsed" not in name}
        assert measured == {"val_accuracy_percent", "test_accuracy_percent"}
    assert "| Simon et al. 2015 | 81.0 / – |" in report
    assert (tmp_path / "pictures/table3_smoke_accuracy_cub_cnn_alignment.png").exists()
    assert len([*tmp_path.glob("pictures/cub_st_cnn-half-cub*_looks.md")]) == 3
    (parallel,) = tmp_path.glob("runs/cub_st_cnn-half-cub-*")
    assert [*(parallel / "panels").glob("*.png")]
    page = looked_at(parallel, tmp_path, monkeypatch)
    assert "| beak | " in page
    assert "## Transformer 2" in page
    assert "| head | " in page
