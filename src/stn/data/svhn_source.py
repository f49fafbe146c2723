"""Where SVHN's full numbers come from: a folder, else an archive beside it, else the network."""

import gzip
import hashlib
import shutil
import socket
import tarfile
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from filelock import FileLock

from stn.files.verified import DataError

ADDRESS = "http://ufldl.stanford.edu/housenumbers"
STRUCT = "digitStruct.mat"
MAX_BYTES = 2**34  # of all that is taken out of an archive; the largest holds an eighth of it
TIMEOUT_S = 30


class Archive(NamedTuple):
    """An official archive: its size in bytes, and its checksum where one is known."""

    num_bytes: int
    sha256: str | None


# The site states none. The checksums are those by which the docTR library loads the two sets; of
# the third the size is known alone.
ARCHIVES = {
    "train": Archive(
        404_141_560, "4b17bb33b6cd8f963493168f80143da956f28ec406cc12f8e5745a9f91a51898"
    ),
    "test": Archive(
        276_555_967, "57ac9ceb530e4aa85b55d991be8fc49c695b3d71c6f6a88afea86549efde7fb5"
    ),
    "extra": Archive(1_955_489_752, None),
}


def fetch_svhn(root: Path, training: Sequence[str]) -> list[str]:
    """Bring the folders that are missing; return those that are there.

    Archives that lie in `root` are unpacked. The network is asked for what is missing of the first
    training folder and of `test`, without which nothing works, and of the others where the first
    one had to be fetched, too: who has put a part of the data there goes on with that part.

    Args:
        root: `data_dir/svhn`.
        training: folders of training images.

    Raises:
        DataError: there is no way to the first training folder or to `test`; lists the ways.
    """
    needed, wanted = {training[0], "test"}, [*reversed(training), "test"]
    missing = [name for name in wanted if not (root / name).is_dir()]
    if training[0] in missing:  # it comes last: its folder says that the others are there
        needed |= {*wanted}
        missing = [*(name for name in missing if name != training[0]), training[0]]
    for name in missing:
        if name in needed or _archive(root, name).exists():
            try:
                root.mkdir(parents=True, exist_ok=True)
                with FileLock(root / ".lock"):
                    if not (root / name).is_dir():
                        _bring(root, name)
            except (DataError, OSError) as error:
                raise DataError(_how_to_provide(root, name, error)) from error
    return [name for name in (*training, "test") if (root / name).is_dir()]


def _archive(root: Path, name: str) -> Path:
    return root / f"{name}.tar.gz"


def _bring(root: Path, name: str) -> None:
    """Unpack the archive, downloaded if it must be, beside the folder, which then appears whole."""
    with tempfile.TemporaryDirectory(prefix=".new-", dir=root) as temporary:
        archive = _archive(root, name)
        if not archive.exists():
            archive = _download(name, Path(temporary))
        unpacked = Path(temporary) / name
        unpacked.mkdir()
        _unpack(archive, name, unpacked)
        unpacked.rename(root / name)


def _download(name: str, folder: Path) -> Path:
    """Let torchvision download an official archive; return it, verified.

    Raises:
        DataError: there is no network, or what came is something else.
    """
    official = ARCHIVES.get(name)
    if official is None:
        raise DataError(f"SVHN has no {name}.tar.gz; there are {', '.join(ARCHIVES)}")
    from torchvision.datasets.utils import download_url  # costs a second, and is rarely needed

    path, before = folder / f"{name}.tar.gz", socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT_S)  # or a network that swallows packets is waited for for ever
    try:
        download_url(f"{ADDRESS}/{path.name}", folder, path.name)
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    except (OSError, RuntimeError) as error:
        raise DataError(f"{ADDRESS}/{path.name}: {error}") from error
    finally:
        socket.setdefaulttimeout(before)
    num_bytes = path.stat().st_size
    if num_bytes != official.num_bytes or official.sha256 not in (None, sha256):
        raise DataError(
            f"{ADDRESS}/{path.name} is not the official archive: it has {num_bytes} bytes of sha256"
            f" {sha256}, wanted are {official.num_bytes} bytes of sha256 {official.sha256 or 'any'}"
        )
    return path


def _unpack(archive: Path, name: str, folder: Path) -> None:
    """Write the images and boxes of an archive to names of our choice, and nothing else of it.

    Raises:
        DataError: the archive is damaged, too large, or has no boxes.
    """
    num_bytes = 0
    try:
        with gzip.open(archive) as stream, tarfile.open(fileobj=stream) as members:
            for member in members:
                path = PurePosixPath(member.name)
                is_ours = path.suffix == ".png" or path.name == STRUCT
                if not member.isfile() or path.parts != (name, path.name) or not is_ours:
                    continue
                num_bytes += member.size
                if num_bytes > MAX_BYTES:
                    raise DataError(f"{archive} holds more than {MAX_BYTES} bytes")
                content = members.extractfile(member)
                assert content is not None, "it is a file"
                with content, (folder / path.name).open("wb") as target:
                    shutil.copyfileobj(content, target)
            while stream.read(2**20):  # to its end, where its checksum is
                pass
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataError(f"{archive} is damaged or cannot be unpacked: {error}") from error
    if not (folder / STRUCT).exists():
        raise DataError(f"{archive} has no {name}/{STRUCT}")


def _how_to_provide(root: Path, name: str, error: Exception) -> str:
    return f"""no SVHN in {root}: {name}/ is missing, and fetching it failed:
  - {error}
Wanted are train/ and test/ (and extra/, if there is) with {STRUCT} and PNG files, the full-number
format ("Format 1") of {ADDRESS}; a part of the images is enough. Provide it in one of three ways:
  1. Put those folders into {root}; or set STN_DATA_DIR to a folder with them in svhn/.
  2. Put {name}.tar.gz there: it is unpacked.
  3. Run again with a network that reaches {ADDRESS}."""
