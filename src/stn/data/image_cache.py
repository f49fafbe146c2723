"""Images that are read once and kept, as bytes of one size, in a memory-mapped file."""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray

from stn.data.pool import Split
from stn.files.atomic import write_atomically
from stn.files.regular import regular


class Made(NamedTuple):
    """Images to keep: how many, pixels (H, W, C) and target of each, and what was left out."""

    number: int
    samples: Iterator[tuple[NDArray[np.uint8], Any]]
    left_out: dict[str, int]


class Kept(NamedTuple):
    """Images that were kept, a digest of them, and how many were left out, by the reason."""

    split: Split
    sha256: str
    left_out: dict[str, int]


def kept(stem: Path, content: Any, make: Callable[[], Made]) -> Kept:
    """Return what was made of the same content before, or make and keep it.

    Args:
        stem: folder and beginning of the name of the files.
        content: all that the images depend on, as JSON says it.
        make: makes them; called in one process at a time, and again if what was kept is damaged.
    """
    key = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
    pool_path = stem.with_name(f"{stem.name}-{key}.npy")
    about_path = pool_path.with_suffix(".json")
    stem.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(pool_path.with_suffix(".lock")):
        if about_path.exists():
            try:
                return _read(pool_path, about_path)
            except (KeyError, OSError, TypeError, ValueError) as error:
                print(f"{pool_path} is damaged and made again: {error}", file=sys.stderr)
        about = _write(pool_path, make())
        write_atomically(about_path, json.dumps(about).encode())
        return _read(pool_path, about_path)


def _read(pool_path: Path, about_path: Path) -> Kept:
    about = json.loads(regular(about_path).read_text())
    pool = torch.from_numpy(np.load(regular(pool_path), mmap_mode="c"))
    targets = torch.tensor(about["targets"])
    if len(pool) != len(targets):
        raise ValueError(f"there are {len(pool)} images and {len(targets)} targets")
    return Kept(Split(pool, targets), about["sha256"], about["left_out"])


def _write(pool_path: Path, made: Made) -> dict[str, Any]:
    """Write images into one file; return what stands beside it."""
    temporary, targets, digest = pool_path.with_suffix(".part"), [], hashlib.sha256()
    temporary.unlink(missing_ok=True)  # of an attempt that failed
    for number, (pixels, target) in enumerate(made.samples):
        if number == 0:
            height, width, channels = pixels.shape
            shape = (made.number, channels, height, width)
            pool = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
        pool[number] = pixels.transpose(2, 0, 1)
        targets.append(target)
        digest.update(pixels.tobytes() + repr(target).encode())
    pool.flush()
    temporary.replace(pool_path)
    return {"left_out": made.left_out, "sha256": digest.hexdigest(), "targets": targets}
