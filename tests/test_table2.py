"""Table 2 from its command to its pictures, on made-up house numbers in the official form."""

from pathlib import Path

import pytest

from tests.smoke_tables import looked_at, reproduce
from tests.svhn_files import made_up, write


def test_a_smoke_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "data/svhn/train", made_up(40, seed=0))
    write(tmp_path / "data/svhn/test", made_up(15, seed=1))
    chosen = ("recipe.batch_size=8", "recipe.max_steps=2")
    records, report = reproduce("table2", tmp_path, monkeypatch, *chosen)
    assert len(records) == 6
    for record in records:
        assert record.num_test == 15
        assert {name for name in record.metrics if "collapsed" not in name} == {
            f"{split}_{what}_error_percent"
            for split in ("val", "test")
            for what in ("number", "digit", "length")
        }
    assert "| Maxout CNN | 4.0 / – |" in report
    multi = next(tmp_path.glob("runs/svhn_st_cnn_multi-*"))
    assert [*multi.glob("panels/*.png")]
    page = looked_at(multi, tmp_path, monkeypatch)
    assert "| number | " in page
    assert "## Transformer 4" in page
