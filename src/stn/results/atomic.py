"""Files that are there as a whole or not at all, whatever happens while they are written."""

import os
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file by way of another one in the same folder, which is then renamed.

    A kill or a power cut at any moment leaves the old file or the new one. A folder on another
    file system would not do: what is moved between file systems is copied, and can be torn.

    Raises:
        OSError: the file cannot be written; names it.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError):  # a full disk does not say whose file it was
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    _sync_folder(path.parent)


def remove_parts(folder: Path) -> None:
    """Remove what killed processes left half-written; nothing may be writing to the folder."""
    for part in folder.glob(".*.part"):
        part.unlink()


def _sync_folder(folder: Path) -> None:
    """Make the new name in a folder survive a power cut, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
