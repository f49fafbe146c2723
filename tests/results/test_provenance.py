from pathlib import Path

import pytest

from stn.results import provenance


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the names that matter; `code_id` forgets what it found before and after."""
    for name in ("data/a.py", "models/b.py", "results/c.py", "cell.py", "train.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    return tmp_path


def found() -> str:
    return provenance.code_id.__wrapped__()


@pytest.mark.parametrize("name", ["data/a.py", "models/b.py", "cell.py", "layers/new.py"])
def test_source_that_decides_a_result_makes_other_code(package: Path, name: str) -> None:
    before = found()
    (package / name).parent.mkdir(exist_ok=True)
    (package / name).write_text("changed")
    assert found() != before


@pytest.mark.parametrize("name", ["results/c.py", "train.py", "README.md"])
def test_other_source_does_not(package: Path, name: str) -> None:
    before = found()
    (package / name).write_text("changed")
    assert found() == before


def test_the_parts_are_there() -> None:
    for part in provenance.DECISIVE:
        assert (provenance.PACKAGE / part / "__init__.py").is_file()
