"""`digitStruct.mat`: which digits stand in the images of SVHN's full-number format, and where.

A MATLAB 7.3 file, that is HDF5: two columns of references, to the names of the images and to groups
with one number, or one reference to a number, for each digit. Half a million small objects in the
official training file, hence the low interface of h5py, a fifth of the time of the usual one.
"""

from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from h5py import h5d, h5g, h5r, h5s, h5t
from numpy.typing import NDArray

from stn.files.regular import regular
from stn.files.verified import DataError

FIELDS = ("left", "top", "width", "height", "label")
LABELS = range(1, 11)  # 10 is the digit 0


class Entry(NamedTuple):
    """An image: its name, boxes (n, 4) as left, top, width, height in pixels, and digits (n,)."""

    name: str
    boxes: NDArray[np.float64]
    digits: NDArray[np.int64]


def read_digit_struct(path: Path) -> list[Entry]:
    """Read and check all entries, in the order of the file.

    Raises:
        DataError: the file is missing, is no such file, or an entry is wrong; names it.
    """
    try:
        with h5py.File(regular(path), "r", driver="core", backing_store=False) as file:
            columns = [_numbers(file[f"digitStruct/{key}"].id) for key in ("name", "bbox")]
            if len(columns[0]) != len(columns[1]):
                raise ValueError(f"has {len(columns[0])} names and {len(columns[1])} entries")
            rows = enumerate(zip(*columns, strict=True))
            entries = [_entry(file.id, number, *references) for number, references in rows]
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{path}: {error}") from error
    names = [entry.name for entry in entries]
    if len({*names}) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{path}: two entries are called {twice}")
    return entries


def _entry(file: Any, number: int, name: Any, boxes: Any) -> Entry:
    found = f"entry {number + 1}"
    try:
        found = "".join(chr(int(c)) for c in _numbers(_target(name, file, h5d.DatasetID)))
        if Path(found).name != found or found in ("", ".", ".."):
            raise ValueError("is not the name of an image beside this file")
        group = _target(boxes, file, h5g.GroupID)
        fields = [_numbers(h5d.open(group, key.encode())) for key in FIELDS]
        if fields[0].dtype == object:
            fields = [
                np.array([_number(_target(r, file, h5d.DatasetID)) for r in references])
                for references in fields
            ]
        return Entry(found, *_checked(np.stack(fields, axis=1).astype(np.float64)))
    except (OSError, KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{found}: {error}") from error


def _checked(table: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return boxes and digits of an entry whose numbers can be."""
    if not len(table):
        raise ValueError("has no boxes")
    if not np.isfinite(table).all():
        raise ValueError("a box or label is not finite")
    boxes, labels = table[:, :4], table[:, 4]
    if (boxes[:, 2:] <= 0).any():
        raise ValueError("a box has no area")
    for label in labels:
        if label not in LABELS:
            raise ValueError(f"label {label:g} is not one of 1 to 10")
    return boxes, labels.astype(np.int64) % 10


def _target(reference: Any, file: Any, kind: type) -> Any:
    """Return what a reference points at."""
    found = h5r.dereference(reference, file) if reference else None
    if not isinstance(found, kind):
        raise ValueError("a reference points nowhere, or at the wrong thing")
    return found


def _number(dataset: Any) -> float:
    """Return the one number of a data set."""
    content = np.empty(1)
    if dataset.get_storage_size() != content.nbytes:
        raise ValueError("a number of a box is missing, or is none")
    dataset.read(h5s.ALL, h5s.ALL, content, mtype=h5t.NATIVE_DOUBLE)
    return float(content[0])


def _numbers(dataset: Any) -> NDArray[Any]:
    """Return the content of a data set, flat."""
    content = np.empty(dataset.shape, dtype=dataset.dtype)
    dataset.read(h5s.ALL, h5s.ALL, content)
    return content.ravel()
