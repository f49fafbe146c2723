"""Appendix A.3 from its command to its pictures: the table of digits in volumes."""

from pathlib import Path

import pytest

from tests.smoke_tables import looked_at, reproduce


def test_a_smoke_table(mnist_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").symlink_to(mnist_dir)
    chosen = ("data.module.num_val=50", "recipe.max_steps=2")
    records, report = reproduce("volumes", tmp_path, monkeypatch, *chosen)
    assert {record.model for record in records} == {"cnn3d", "projection_cnn", "st_projection_cnn"}
    sizes = [record.num_params for record in records]
    assert max(sizes) - min(sizes) < 0.03 * max(sizes)
    assert "| 3D ST-CNN affine |" in report
    assert (tmp_path / "pictures/volumes_smoke_30px_projection_cnn_alignment.png").exists()
    (run,) = tmp_path.glob("runs/st_projection_cnn-affine3d-mnist3d_half-*")
    assert [*(run / "panels").glob("*.png")]
    page = looked_at(run, tmp_path, monkeypatch)
    assert "| agreement of the projection with the upright digit |" in page
