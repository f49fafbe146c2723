"""What is read is a file: a pipe would be waited for without end, and a device never ends."""

import errno
import os
import stat
from pathlib import Path

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def regular(path: Path) -> Path:
    """Return a path at which there is a file, or nothing, as whoever opens it will find out.

    Raises:
        OSError: there is something else; says what.
    """
    if path.exists() and not path.is_file():
        kind = KINDS.get(stat.S_IFMT(path.stat().st_mode), "something else")
        raise OSError(errno.EINVAL, f"{kind}, not a file", str(path))
    return path


def leads_somewhere(path: Path) -> Path:
    """Return a path of which no part is a link to where nothing is.

    Raises:
        ValueError: one is; says which.
    """
    for part in (path, *path.parents):
        if part.is_symlink() and not part.exists():
            raise ValueError(f"{part} is a link to {os.readlink(part)}, where nothing is")
    return path
