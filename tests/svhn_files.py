"""House numbers in SVHN's official form, small and made up: PNG files and `digitStruct.mat`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from stn.data.digit_struct import Entry

FONTS = str(Path(matplotlib.get_data_path()) / "fonts/ttf")  # DejaVu, and others without digits
GROUND, INK = (200, 190, 170), (30, 40, 90)
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


def plate(digits: str, seed: int = 0) -> tuple[Image.Image, Entry, np.ndarray]:
    """A number on a wall, its entry, and the wall alone."""
    random = np.random.default_rng(seed)
    width, height = 60 + 22 * len(digits), 71
    shading = np.linspace(0.8, 1.1, width)[None, :, None]
    wall = np.clip(shading * GROUND + random.normal(0, 2, (height, width, 3)), 0, 255)
    image = Image.fromarray(wall.astype(np.uint8))
    font = ImageFont.truetype(f"{FONTS}/DejaVuSans-Bold.ttf", 30)
    boxes = []
    for i, digit in enumerate(digits):
        left, top = 30 + 22 * i, 20 + i
        ImageDraw.Draw(image).text((left, top), digit, fill=INK, font=font)
        x0, y0, x1, y1 = font.getbbox(digit)
        boxes.append([left + x0, top + y0, x1 - x0, y1 - y0])
    return image, Entry("1.png", np.array(boxes, float), np.array([*map(int, digits)])), wall
