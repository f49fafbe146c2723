"""Files that are what they claim to be: verified when read."""

import gzip
import hashlib
import io
import zlib
from functools import partial
from pathlib import Path

from stn.files.regular import regular

MAX_BYTES = 2**27  # of a file, unpacked; MNIST's largest has 47 MB


class DataError(ValueError):
    """A data set is missing, damaged or malformed; the message names the file and what to do."""


def verify(path: Path, kind: str, checksum: str | None) -> None:
    """Refuse a file that has not the checksum of a kind, such as sha256; None is any.

    Raises:
        DataError: it has another; names the file and both.
    """
    if checksum is None:
        return
    with regular(path).open("rb") as file:
        found = hashlib.file_digest(file, partial(hashlib.new, kind, usedforsecurity=False))
    if found.hexdigest() != checksum:
        raise DataError(
            f"{path} is damaged, truncated or another file: expected {kind} {checksum}, found"
            f" {found.hexdigest()}; delete it to have it fetched again"
        )


def read_verified(path: Path, md5: str) -> bytes:
    """The content of a file (unpacked, if its name ends in .gz), which has this checksum.

    Raises:
        DataError: The content is damaged or truncated; names the file and both checksums.
    """
    stored = regular(path).read_bytes()
    try:
        content = _unpacked(stored) if path.suffix == ".gz" else stored
    except (OSError, EOFError, ValueError, zlib.error) as error:
        found = f"a file of md5 {_md5(stored)} that does not unpack ({error})"
    else:
        found = f"md5 {_md5(content)}"
    if found != f"md5 {md5}":
        whose = " of the unpacked content" if path.suffix == ".gz" else ""
        raise DataError(
            f"{path} is damaged, truncated or another file, and is not used: "
            f"expected md5 {md5}{whose}, found {found}; it holds {len(stored)} bytes."
        )
    return content


def _unpacked(stored: bytes) -> bytes:
    with gzip.open(io.BytesIO(stored)) as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES:,} bytes")
    return content


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
