"""The official lists of CUB-200-2011: images, classes, splits, boxes and parts, as text."""

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stn.files.regular import regular
from stn.files.verified import DataError

URL = "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz"
MD5 = "97eceeb196236b17998738112f37df78"  # as commonly cited; it could not be tried here
NUM_CLASSES = 200
OFFICIAL = {"train": 5994, "test": 5794}  # images, where all classes are there


class Bird(NamedTuple):
    """An image that the lists name: its number there, file, class from 0 up, and split."""

    number: int
    name: str
    label: int
    split: str


def read_birds(folder: Path) -> list[Bird]:
    """Return what the official lists say, checked against one another.

    Raises:
        DataError: a list is missing or wrong, or does not fit the others; names it.
    """
    if not (folder / "images.txt").exists():
        raise DataError(how_to_provide(folder))
    names = table(folder / "images.txt", [str])
    labels = table(folder / "image_class_labels.txt", [int], among=names)
    splits = table(folder / "train_test_split.txt", [int], among=names)
    # One that is there twice may be trained on and tested.
    if twice := [name for (name,), count in Counter(names.values()).items() if count > 1]:
        raise DataError(f"{folder / 'images.txt'}: {twice[0]} is there twice")
    birds = []
    for number, (name,) in names.items():
        (label,), (is_train,) = labels[number], splits[number]
        if not 1 <= label <= NUM_CLASSES or is_train not in (0, 1):
            raise DataError(
                f"{folder}: image {number} has class {label} and split {is_train}; wanted are 1 to"
                f" {NUM_CLASSES}, and 0 or 1"
            )
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise DataError(f"{folder / 'images.txt'}: {name} lies outside of images/")
        birds.append(Bird(number, name, label - 1, "train" if is_train else "test"))
    _check_splits(folder, birds)
    return birds


def how_to_provide(folder: Path) -> str:
    """Say which files are wanted, and where they come from."""
    return (
        f"no CUB-200-2011 in {folder}: wanted are images/, images.txt, image_class_labels.txt,"
        " train_test_split.txt, bounding_boxes.txt and parts/ of the official archive"
        f" CUB_200_2011.tgz ({URL}), of all classes or of some; or that archive, whole, in"
        f" {folder.parent}"
    )


def _check_splits(folder: Path, birds: list[Bird]) -> None:
    of = {name: [bird.label for bird in birds if bird.split == name] for name in OFFICIAL}
    counts = {name: len(labels) for name, labels in of.items()}
    if counts == {"train": OFFICIAL["test"], "test": OFFICIAL["train"]}:
        raise DataError(
            f"{folder / 'train_test_split.txt'} is inverted: 1 marks the {OFFICIAL['train']:,}"
            " training images"
        )
    if not all(counts.values()):
        raise DataError(f"{folder / 'train_test_split.txt'}: there are {counts} images")


def table(path: Path, kinds: list[type], among: Mapping[int, Any] | None = None) -> dict[int, Any]:
    """Return the lines of a list, "number value ...", by their number.

    Args:
        path: the list.
        kinds: types of the values.
        among: the numbers that there have to be, no more and no less.

    Raises:
        DataError: the list cannot be read, a line is wrong or there twice, or a number is missing.
    """
    found: dict[int, Any] = {}
    for place, line in enumerate(_lines(path), 1):
        try:
            number, *values = line.split(None, len(kinds))
            row = tuple(kind(value) for kind, value in zip(kinds, values, strict=True))
            key = int(number)
        except ValueError as error:
            raise DataError(f"{path}, line {place}: {line!r}: {error}") from error
        if key in found:
            raise DataError(f"{path}, line {place}: {key} is there twice")
        found[key] = row
    if among is not None and (odd := sorted(found.keys() ^ among.keys())):
        raise DataError(
            f"{path} and images.txt do not fit: {len(odd)} numbers are in one alone, such as"
            f" {odd[0]}"
        )
    return found


def read_parts(
    path: Path, numbers: Mapping[int, Any], parts: list[int]
) -> dict[int, NDArray[np.float64]]:
    """Return rows (x, y, 1 where it is visible) for each part of each image.

    Raises:
        DataError: a line is wrong, another code than 0 and 1 tells what is visible, or an image has
            not each part once.
    """
    found: dict[int, dict[int, tuple[float, float, float]]] = {number: {} for number in numbers}
    for place, line in enumerate(_lines(path), 1):
        try:
            image, of, *place_of = line.split()
            number, part = int(image), int(of)
            x, y, is_visible = (float(value) for value in place_of)
            if is_visible not in (0, 1) or part not in parts or not math.isfinite(x + y):
                raise ValueError("visible is 0 or 1, parts are those of parts.txt, x and y finite")
            if part in found[number]:
                raise ValueError("this part of the image is there twice")
            found[number][part] = (x, y, is_visible)
        except (KeyError, ValueError) as error:
            raise DataError(f"{path}, line {place}: {line!r}: {error}") from error
    for number, rows in found.items():
        if rows.keys() != {*parts}:
            raise DataError(f"{path}: image {number} has {len(rows)} of {len(parts)} parts")
    return {number: np.array([rows[part] for part in parts]) for number, rows in found.items()}


def _lines(path: Path) -> list[str]:
    try:
        return regular(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
