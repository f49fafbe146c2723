"""House numbers in SVHN's official form, small and made up: PNG files and `digitStruct.mat`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from PIL import Image, ImageDraw

FIELDS = ("height", "label", "left", "top", "width")


class Number(NamedTuple):
    """An image's size (width, height), and for each digit left, top, width, height and label."""

    size: tuple[int, int]
    digits: Sequence[tuple[float, float, float, float, float]]


def made_up(num: int, seed: int, longest: int = 5) -> dict[str, Number]:
    """Numbers of all lengths, some of whose boxes stick out of their image."""
    random = np.random.default_rng(seed)
    numbers = {}
    for i in range(num):
        length = i % longest + 1
        left, top = random.uniform(-2, 12), random.uniform(-2, 9)
        digits = [
            (left + 9 * k, top + k, 8.0, 15.0, float(random.integers(1, 11))) for k in range(length)
        ]
        numbers[f"{i + 1}.png"] = Number((20 + 9 * length, 31), digits)
    return numbers


def write(folder: Path, numbers: Mapping[str, Number]) -> Path:
    """Write a folder as the official archives have it; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, number in numbers.items():
        image = Image.new("RGB", number.size, (90, 120, 150))
        for left, top, width, height, label in number.digits:
            box = (left, top, left + width, top + height)
            ImageDraw.Draw(image).rectangle(box, fill=(int(24 * label) % 256, 30, 60))
        image.save(folder / name)
    write_struct(folder / "digitStruct.mat", numbers)
    return folder


def write_struct(path: Path, numbers: Mapping[str, Number]) -> None:
    """Write the file of names and boxes: one digit as a number, more as references to numbers."""
    with h5py.File(path, "w") as file:
        refs = file.create_group("#refs#")
        made = 0

        def keep(content: Any) -> Any:
            nonlocal made
            made += 1
            return refs.create_dataset(f"r{made}", data=content).ref

        names, boxes = [], []
        for name, number in numbers.items():
            names.append(keep(np.array([[ord(c)] for c in name], dtype=np.uint16)))
            group = refs.create_group(f"g{made}")
            for field, order in zip(FIELDS, (3, 4, 0, 1, 2), strict=True):
                values = [np.array([[float(digit[order])]]) for digit in number.digits]
                if len(values) == 1:
                    group[field] = values[0]
                else:
                    found = np.empty((len(values), 1), dtype=h5py.ref_dtype)
                    for i, value in enumerate(values):
                        found[i, 0] = keep(value)
                    group.create_dataset(field, data=found, dtype=h5py.ref_dtype)
            boxes.append(group.ref)
        struct = file.create_group("digitStruct")
        for key, references in (("name", names), ("bbox", boxes)):
            column = np.empty((len(references), 1), dtype=h5py.ref_dtype)
            column[:, 0] = references
            struct.create_dataset(key, data=column, dtype=h5py.ref_dtype)
