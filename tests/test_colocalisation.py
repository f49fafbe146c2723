"""Appendix A.2 from its command to its pictures: co-localisation, of ten classes."""

from pathlib import Path

import pytest

from tests.smoke_tables import reproduce


def test_a_smoke_table(mnist_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").symlink_to(mnist_dir)
    chosen = ("table.only=[TC]", "data.module.num_val=300", "recipe.max_steps=2")
    records, report = reproduce("colocalisation", tmp_path, monkeypatch, *chosen)
    assert len(records) == 10
    for record in records:
        assert (record.status, record.num_test, record.task) == ("finished", 8, "colocalisation")
        assert record.num_images == {"train": 8, "val": 8, "test": 8, "labelled": 340}
    assert "| mean of the classes |" in report
    for ending in ("png", "svg"):
        assert (tmp_path / f"pictures/colocalisation_smoke_TC_training.{ending}").exists()
