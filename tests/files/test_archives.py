import hashlib
import io
import tarfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from stn.files import archives
from stn.files.archives import provide
from stn.files.verified import DataError


def archive(path: Path, *entries: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as file:
        for entry in entries:
            file.addfile(entry, io.BytesIO(b"x" * entry.size))
    return path


def entry(name: str, size: int = 3, **changes: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.size = size
    for key, value in changes.items():
        setattr(made, key, value)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data/set"


def test_it_is_unpacked_once(tmp_path: Path, folder: Path) -> None:
    folder.parent.mkdir()
    path = archive(tmp_path / "data/a.tar.gz", entry("inner/b.txt"), entry("inner/c/d.txt"))
    provide(folder, path, "inner", None, None)
    assert (folder / "b.txt").read_text() == (folder / "c/d.txt").read_text() == "xxx"
    path.write_bytes(b"")  # not looked at again
    provide(folder, path, "inner", None, None)
    assert {p.name for p in folder.parent.iterdir()} == {"set", "a.tar.gz", ".a.tar.gz.lock"}


def test_an_empty_folder_is_none(tmp_path: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    path = archive(tmp_path / "data/a.tar.gz", entry("inner/b.txt"))
    provide(folder, path, "inner", None, None)
    assert (folder / "b.txt").is_file()


def test_the_checksum_decides(folder: Path) -> None:
    folder.parent.mkdir()
    path = archive(folder.parent / "a.tgz", entry("inner/b.txt"))
    with pytest.raises(DataError, match="expected md5 00, found"):
        provide(folder, path, "inner", None, "00")
    assert not folder.exists()
    provide(folder, path, "inner", None, hashlib.md5(path.read_bytes()).hexdigest())
    assert folder.is_dir()


@pytest.mark.parametrize(
    "bad",
    [
        entry("../evil.txt"),
        entry("/tmp/evil.txt/../../evil"),
        entry("inner/link", 0, type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        entry("inner/link", 0, type=tarfile.LNKTYPE, linkname="../../evil"),
        entry("inner/device", 0, type=tarfile.CHRTYPE),
        entry("inner/pipe", 0, type=tarfile.FIFOTYPE),
        entry("other/b.txt"),
    ],
    ids=lambda e: f"{e.name}-{e.type.decode()}",
)
def test_an_archive_that_is_not_what_it_should_be(folder: Path, bad: tarfile.TarInfo) -> None:
    folder.parent.mkdir()
    first = entry("inner/b.txt") if not bad.name.startswith("other") else entry("else/b.txt")
    path = archive(folder.parent / "a.tgz", first, bad)
    with pytest.raises(DataError, match=r"a\.tgz"):
        provide(folder, path, "inner", None, None)
    assert not folder.exists()
    assert {p.name for p in folder.parent.iterdir()} == {"a.tgz", ".a.tgz.lock"}


def test_a_bomb_and_a_torn_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.parent.mkdir()
    path = archive(folder.parent / "a.tgz", entry("inner/b.txt", 100_000))
    monkeypatch.setattr(archives, "MAX_BYTES", 50_000)
    with pytest.raises(DataError, match="more than 50,000 bytes"):
        provide(folder, path, "inner", None, None)
    monkeypatch.undo()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=r"a\.tgz"):
        provide(folder, path, "inner", None, None)
    assert not folder.exists()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a server of the files in `tmp_path`."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("localhost", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


def test_it_is_downloaded_where_it_is_not_there(tmp_path: Path, folder: Path, server: str) -> None:
    archive(tmp_path / "source.tgz", entry("inner/b.txt"))
    provide(folder, folder.parent / "a.tgz", "inner", f"{server}/source.tgz", None)
    assert (folder / "b.txt").exists()
    assert (folder.parent / "a.tgz").exists()


def test_what_cannot_be_downloaded_is_said(folder: Path, server: str) -> None:
    with pytest.raises(DataError, match=r"nothing\.tgz could not be downloaded"):
        provide(folder, folder.parent / "a.tgz", "inner", f"{server}/nothing.tgz", None)
    assert not [p for p in folder.parent.iterdir() if not p.name.endswith(".lock")]


def test_without_archive_and_address_nothing_happens(folder: Path) -> None:
    provide(folder, folder.parent / "a.tgz", "inner", None, None)
    assert not folder.parent.exists()


def test_what_is_downloaded_has_its_checksum(tmp_path: Path, folder: Path, server: str) -> None:
    source, path = archive(tmp_path / "source.tgz", entry("inner/b.txt")), folder.parent / "a.tgz"
    address = f"{server}/{source.name}"
    with pytest.raises(DataError, match="expected sha256 00, found"):
        provide(folder, path, "inner", address, None, sha256="00")
    assert not path.exists()
    sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
    provide(folder, path, "inner", address, None, sha256)
    assert (folder / "b.txt").exists()
