import subprocess
from pathlib import Path

import pytest

from stn.results import provenance


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the names that matter; `code_id` forgets what it found before and after."""
    for name in ("data/a.py", "models/b.py", "results/c.py", "cell.py", "ranks.py", "train.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    return tmp_path


def found() -> str:
    return provenance.code_id.__wrapped__()


@pytest.mark.parametrize(
    "name", ["data/a.py", "models/b.py", "cell.py", "ranks.py", "layers/new.py"]
)
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
    for name in provenance.DECISIVE_MODULES:
        assert (provenance.PACKAGE / name).is_file()


@pytest.mark.parametrize(
    ("name", "is_dirty"),
    [
        (None, False),
        ("README.md", True),
        ("src/stn/new.py", True),
        ("conf/recipe/new.yaml", True),
        ("notes.txt", False),
        ("src/stn/ignored.pyc", False),
    ],
)
def test_new_files_are_changes_where_they_can_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str | None, is_dirty: bool
) -> None:
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "src/stn")
    tracked = {"README.md": "", "src/stn/a.py": "", ".gitignore": "*.pyc"}
    for path, content in tracked.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "all"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    if name is not None:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("changed")
    sha, found = provenance.git_state.__wrapped__()
    assert len(sha) == 40
    assert found is is_dirty
