"""The lock of a cell: one process at a time runs it.

It is the system's (`flock`), so it vanishes with its process, however that ends. On one machine it
always holds. Between the nodes of a cluster it holds where the shared file system passes `flock` on
to its server: under Linux NFS 4, and NFS 3 with its lock daemon, do so unless mounted with `nolock`
or `local_lock`, and Lustre does if mounted with `flock`. Elsewhere, do not start two sweeps of the
same cells on different nodes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

BUSY = "busy"  # what a cell of a sweep returns that another process runs: it has not failed
LOCK_S = 1.0  # longer than `is_free` holds a lock


class CellBusyError(RuntimeError):
    """Another process is running this cell."""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the lock of the cell whose folder this is.

    Raises:
        CellBusyError: another process holds it.
    """
    try:
        lock = FileLock(folder / ".lock").acquire(timeout=LOCK_S)
    except Timeout as error:
        raise CellBusyError(f"{folder} is being run by another process") from error
    with lock:
        yield


def is_free(folder: Path) -> bool:
    """Tell whether no process runs the cell."""
    try:
        with FileLock(folder / ".lock", timeout=0):
            return True
    except Timeout:
        return False
