"""What the package reads is looked at before it is opened: nothing waits for a pipe."""

import ast
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import stn
from stn.data.digit_struct import read_digit_struct
from stn.data.image_files import opened
from stn.files.atomic import append
from stn.files.plain_yaml import read_yaml
from stn.files.regular import regular
from stn.files.saved import load
from stn.files.verified import read_verified
from stn.results.records import read_record

ROOT = Path(stn.__file__).parent
OPENS = re.compile(
    r"(\.read_text|\.read_bytes|\.write_text|\.write_bytes|Image\.open|h5py\.File|OmegaConf\.load|tarfile\.open|np\.load)$"
)
# Files of the package and of the checkout itself, and those in folders that it made a moment ago.
OWN = {
    *(
        "demo/build.py",
        "files/npm.py",
        "data/mnist_source.py",
        "results/code.py",
        "results/provenance.py",
    ),
    *("data/distorted.py", "distortions.py"),
}


@pytest.fixture(autouse=True)
def alarm() -> Iterator[None]:
    def give_up(*_: object) -> None:
        raise TimeoutError("waits for a pipe")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(5)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def test_files_and_nothing_pass(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("gone")
    for name in ("file", "link", "dangling", "gone"):
        assert regular(tmp_path / name) == tmp_path / name


@pytest.mark.parametrize(
    "read",
    [
        lambda path: read_record(path),
        lambda path: load(path),
        lambda path: read_digit_struct(path),
        lambda path: read_yaml(path),
        lambda path: read_verified(path, "0" * 32),
        lambda path: append(path, "more"),
        lambda path: opened(path, "PNG").__enter__(),
    ],
)
def test_whatever_is_no_file_is_named(tmp_path: Path, read: Callable[[Path], object]) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    for kind in ("pipe", "device", "folder"):
        with pytest.raises((OSError, ValueError), match=f"a {kind}, not a file") as said:
            read(tmp_path / kind)
        assert str(tmp_path / kind) in str(said.value)


def test_nothing_is_opened_that_was_not_looked_at() -> None:
    calls = [
        f"{path.relative_to(ROOT)}: {ast.unparse(node)}"
        for path in sorted(ROOT.rglob("*.py"))
        if str(path.relative_to(ROOT)) not in OWN
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Call) and OPENS.search(ast.unparse(node.func))
    ]
    assert len(calls) > 10
    assert [call for call in calls if not re.search(r"regular\(|io\.BytesIO\(", call)] == []
