import hashlib
import io
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from stn.data import svhn_source
from stn.data.svhn import SvhnDataModule
from stn.data.svhn_source import ARCHIVES, Archive, fetch_svhn
from stn.files.verified import DataError
from tests.svhn_files import made_up, write


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None: ...


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is served in place of the network; empty at first."""
    folder = tmp_path / "site"
    folder.mkdir()
    handler = partial(QuietHandler, directory=folder)
    with ThreadingHTTPServer(("localhost", 0), handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        monkeypatch.setattr(svhn_source, "ADDRESS", f"http://localhost:{server.server_port}")
        yield folder
        server.shutdown()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data/svhn"


def pack(folder: Path, name: str, num: int = 30) -> Path:
    """An archive as the official ones are, with a file that is not wanted."""
    images = write(folder / "packed" / name, made_up(num, seed=0))
    (images / "see_bboxes.m").write_text("% MATLAB")
    with tarfile.open(folder / f"{name}.tar.gz", "w:gz") as archive:
        archive.add(images, arcname=name)
    return folder / f"{name}.tar.gz"


def publish(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put all archives onto the site; of one no checksum is known."""
    for name in ARCHIVES:
        content = pack(site, name).read_bytes()
        sha256 = None if name == "extra" else hashlib.sha256(content).hexdigest()
        monkeypatch.setitem(ARCHIVES, name, Archive(len(content), sha256))


def test_archives_that_lie_there_are_unpacked(root: Path) -> None:
    root.mkdir(parents=True)
    for name in ("train", "test"):
        pack(root, name)
    assert fetch_svhn(root, ["train"]) == ["train", "test"]
    wanted = sorted(path.name for path in (root / "packed/train").iterdir())
    wanted.remove("see_bboxes.m")
    assert sorted(path.name for path in (root / "train").iterdir()) == wanted
    assert (root / "train.tar.gz").exists()  # its owner's
    data = SvhnDataModule(["train"], 32, 27, 0.3, "edge", 5000, 8, 0, 0, root.parent)
    assert data.count_images() == {"train": 29, "val": 1, "test": 30}


def test_what_is_missing_is_downloaded_once(root: Path, site: Path, monkeypatch) -> None:
    publish(site, monkeypatch)
    with ThreadPoolExecutor(3) as threads:
        found = [*threads.map(lambda _: fetch_svhn(root, ["train", "extra"]), range(3))]
    assert found == [["train", "extra", "test"]] * 3
    for path in site.glob("*.tar.gz"):
        path.unlink()
    assert fetch_svhn(root, ["train", "extra"]) == ["train", "extra", "test"]
    assert sorted(path.name for path in root.iterdir()) == [".lock", "extra", "test", "train"]


def test_who_has_a_part_goes_on_with_it(root: Path, site: Path, monkeypatch) -> None:
    for name in ("train", "test"):
        write(root / name, made_up(30, seed=0))
    assert fetch_svhn(root, ["train", "extra"]) == ["train", "test"]
    publish(site, monkeypatch)
    assert fetch_svhn(root, ["train", "extra"]) == ["train", "test"]
    (site / "extra.tar.gz").rename(root / "extra.tar.gz")
    assert fetch_svhn(root, ["train", "extra"]) == ["train", "extra", "test"]


def test_without_data_and_network_the_ways_are_listed(root: Path) -> None:
    with pytest.raises(
        DataError, match=r"test/ is missing, (?s:.*)Wanted are train/ and test/"
    ) as e:
        SvhnDataModule(["train"], 32, 27, 0.3, "edge", 5000, 8, 0, 0, root.parent).setup()
    assert "\n  3. " in str(e.value)
    assert "test.tar.gz" in str(e.value)


@pytest.mark.parametrize("wrong", [Archive(10, None), Archive(0, "0" * 64)])
def test_what_is_not_the_official_archive_is_never_unpacked(
    root: Path, site: Path, monkeypatch, wrong: Archive
) -> None:
    publish(site, monkeypatch)
    num_bytes = wrong.num_bytes or ARCHIVES["train"].num_bytes
    monkeypatch.setitem(ARCHIVES, "train", Archive(num_bytes, wrong.sha256))
    with pytest.raises(DataError, match=r"train\.tar\.gz is not the official archive"):
        fetch_svhn(root, ["train", "extra"])
    assert sorted(path.name for path in root.iterdir()) == [".lock", "extra", "test"]


@pytest.mark.parametrize("part", [0, 0.5, 0.999])
def test_a_damaged_archive_is_named_and_leaves_nothing(root: Path, part: float) -> None:
    root.mkdir(parents=True)
    path = pack(root, "test")
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(DataError, match=r"test\.tar\.gz is damaged"):
        fetch_svhn(root, ["train"])
    assert not (root / "test").exists()


def test_nothing_is_written_elsewhere(root: Path, tmp_path: Path) -> None:
    root.mkdir(parents=True)
    (tmp_path / "secret.png").write_bytes(b"secret")
    members = [("../test/1.png", {}), ("test/../../2.png", {}), (f"{tmp_path}/3.png", {})]
    members += [("test/sub/4.png", {}), ("train/5.png", {}), ("test/digitStruct.mat", {})]
    links = {"type": tarfile.SYMTYPE, "linkname": str(tmp_path / "secret.png")}
    members += [("test/6.png", links), ("test/7.png", links | {"type": tarfile.LNKTYPE})]
    with tarfile.open(root / "test.tar.gz", "w:gz") as archive:
        for name, fields in members:
            member = tarfile.TarInfo(name)
            member.size = 0 if fields else 3
            for key, value in fields.items():
                setattr(member, key, value)
            archive.addfile(member, None if fields else io.BytesIO(b"new"))
    before = {path for path in tmp_path.rglob("*") if root not in path.parents}
    with pytest.raises(DataError, match="train/ is missing"):
        fetch_svhn(root, ["train"])
    assert {path for path in tmp_path.rglob("*") if root not in path.parents} == before
    assert [path.name for path in (root / "test").iterdir()] == ["digitStruct.mat"]


def test_an_archive_of_too_much_is_refused(root: Path, monkeypatch) -> None:
    root.mkdir(parents=True)
    pack(root, "test")
    monkeypatch.setattr(svhn_source, "MAX_BYTES", 2000)
    with pytest.raises(DataError, match="holds more than 2000 bytes"):
        fetch_svhn(root, ["train"])
    assert not (root / "test").exists()


def test_a_folder_that_no_archive_has_is_named(root: Path) -> None:
    write(root / "test", made_up(30, seed=0))
    with pytest.raises(DataError, match=r"SVHN has no validation\.tar\.gz"):
        fetch_svhn(root, ["validation"])
