import os
import subprocess
from pathlib import Path

import pytest

from stn.results import provenance


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
    os.utime(tmp_path / "README.md", (1, 1))  # git would note that nothing else has changed
    index = (tmp_path / ".git/index").read_bytes()
    sha, found = provenance.git_state.__wrapped__()
    assert (tmp_path / ".git/index").read_bytes() == index  # so it took no lock
    assert len(sha) == 40
    assert found is is_dirty


@pytest.mark.parametrize("is_checkout", [True, False])
def test_an_installed_package_has_no_commit_whatever_lies_round_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_checkout: bool
) -> None:
    package = tmp_path / ".venv/lib/python3.12/site-packages/stn"
    package.mkdir(parents=True)
    monkeypatch.setattr(provenance, "PACKAGE", package)
    if is_checkout:
        (tmp_path / "a.py").write_text("theirs")
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        for command in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "all"]):
            subprocess.run(["git", *command], cwd=tmp_path, check=True)
    assert provenance.git_state.__wrapped__() == ("unknown", True)


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("+table=table1 table.seeds=3 'table.only=[R,P]' model=cnn seed=2", "model=cnn seed=2"),
        ("+study=pose study.seeds=1 'model.a=[1, 2]'", "'model.a=[1, 2]'"),
        ("model=cnn +data.module.once=true", "model=cnn +data.module.once=true"),
    ],
)
def test_a_command_runs_the_cell_by_itself(command: str, shown: str) -> None:
    told = f"python -m stn.train {command}"
    assert provenance.without_sweep(told) == f"python -m stn.train {shown}"


@pytest.mark.parametrize("text", ["", "it's", "make tables", "python -m stn.other +table=a"])
def test_what_is_no_command_of_a_cell_stays(text: str) -> None:
    assert provenance.without_sweep(text) == text
