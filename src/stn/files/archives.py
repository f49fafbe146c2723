"""Archives of data sets: downloaded where there is a network, verified, and unpacked safely."""

import socket
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from stn.files.regular import regular
from stn.files.verified import DataError, verify

TIMEOUT_S = 30
MAX_BYTES = 20 * 2**30  # of what an archive unpacks to; the largest data set here has 3 GiB


def provide(
    folder: Path,
    archive: Path,
    member: str,
    url: str | None,
    md5: str | None,
    sha256: str | None = None,
) -> None:
    """Make a folder out of an archive, once, in one step and one process at a time.

    Args:
        folder: to make; nothing is done where it is and has anything in it.
        archive: a tar file, downloaded first where it is not there.
        member: the folder in the archive.
        url: where the archive comes from; None not to download it.
        md5: of the archive; None where none is known, or where a part of it does, too.
        sha256: of what is downloaded; None where none is known.

    Raises:
        DataError: the archive is not there and could not be fetched, is damaged or another file,
            or would write beside its folder.
    """
    if _is_there(folder) or not (archive.exists() or url):
        return
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(archive.with_name(f".{archive.name}.lock")):
            if not archive.exists():
                _download(str(url), archive, sha256)
            if not _is_there(folder):
                verify(archive, "md5", md5)
                _unpack(archive, member, folder)
    except (OSError, EOFError, tarfile.TarError) as error:
        raise DataError(f"{archive}: {error or type(error).__name__}") from error


def _is_there(folder: Path) -> bool:
    """Tell whether there is anything in a folder; one that is empty is made anew."""
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


def _download(url: str, path: Path, sha256: str | None) -> None:
    from torchvision.datasets.utils import download_url  # a second, and rarely needed

    with tempfile.TemporaryDirectory(prefix=".download-", dir=path.parent) as temporary:
        try:
            with socket_timeout(TIMEOUT_S):
                download_url(url, temporary, path.name)
        except (OSError, RuntimeError) as error:
            raise DataError(f"{url} could not be downloaded: {error}") from error
        verify(Path(temporary) / path.name, "sha256", sha256)
        (Path(temporary) / path.name).rename(path)


def _unpack(path: Path, member: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".unpack-", dir=folder.parent) as temporary:
        with tarfile.open(regular(path)) as archive:
            size = 0
            for entry in archive:
                size += entry.size
                if size > MAX_BYTES:
                    raise DataError(f"{path} unpacks to more than {MAX_BYTES:,} bytes")
                if ".." in Path(entry.name).parts:  # of which Pythons think differently
                    raise DataError(f"{path} has an entry that leads out: {entry.name}")
                # The filter refuses devices and whatever would land outside of the folder.
                archive.extract(entry, temporary, filter="data")
        if not (Path(temporary) / member).is_dir():
            raise DataError(f"{path} has no folder {member}")
        if folder.is_dir():  # and empty
            folder.rmdir()
        (Path(temporary) / member).rename(folder)


@contextmanager
def socket_timeout(seconds: float) -> Iterator[None]:
    """Downloads by torchvision wait for ever otherwise, where a network swallows packets."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
