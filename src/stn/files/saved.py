"""Files of torch: written as a whole, read without running anything, damage named."""

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stn.files.atomic import write_atomically
from stn.files.regular import regular
from stn.files.run_files import RESULT, WEIGHTS


def save(content: Any, path: Path) -> None:
    """Write what torch can save as a file that is there as a whole or not at all."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomically(path, buffer.getvalue())


def load(path: Path) -> Any:
    """Return the content of a file that `save` wrote, or Lightning.

    Raises:
        OSError: the system does not let it be read.
        ValueError: it is damaged; says how.
    """
    return _load(regular(path).read_bytes(), path)


def load_weights(folder: Path, sha256: str | None) -> dict[str, Tensor]:
    """Return the weights in the folder of a run, which have the checksum that its record tells.

    Args:
        folder: of the run.
        sha256: None of the record of older code, which does not tell.

    Raises:
        OSError: the system does not let them be read.
        ValueError: they are others, or damaged.
    """
    path = folder / WEIGHTS
    content = regular(path).read_bytes()
    weights: dict[str, Tensor] = _load(content, path)
    if sha256 not in (None, hashlib.sha256(content).hexdigest()):
        raise ValueError(f"{path} is not what the run ended with, by its {RESULT}")
    return weights


def _load(content: bytes, path: Path) -> Any:
    try:
        if torn := zipfile.ZipFile(io.BytesIO(content)).testzip():  # torch checks no checksum
            raise ValueError(f"wrong checksum of {torn}")
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # of whatever kind: the file was read, so its content is wrong
        reason = str(error) if isinstance(error, ValueError) else type(error).__name__
        raise ValueError(f"{path} is damaged ({reason})") from error
