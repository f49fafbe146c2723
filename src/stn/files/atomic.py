"""Files that are there as a whole or not at all, whatever happens while they are written."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stn.files.regular import regular


def append(path: Path, text: str) -> None:
    """Append to a file.

    Raises:
        OSError: the file cannot be written; names it.
    """
    with _naming(path), regular(path).open("a", encoding="utf-8", newline="") as file:
        file.write(text)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file by way of another one in the same folder, which is then renamed.

    A kill or a power cut at any moment leaves the old file or the new one. A folder on another
    file system would not do: what is moved between file systems is copied, and can be torn.

    Raises:
        OSError: the file cannot be written; names it.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with _naming(path):
        try:
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    _sync_folder(path.parent)


def remove_parts(folder: Path) -> None:
    """Remove what killed processes left half-written; nothing may be writing to the folder."""
    for part in folder.glob(".*.part"):
        part.unlink()


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Say which file could not be written, which a full disk does not, and what comes next."""
    try:
        yield
    except OSError as error:
        reason = f"{error.strerror} (when that is mended, the same command goes on)"
        raise OSError(error.errno, reason, str(path)) from error


def _sync_folder(folder: Path) -> None:
    """Make the new name in a folder survive a power cut, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
