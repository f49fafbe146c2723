"""SVHN's full-number format: one image, one house number of one to five digits (Section 4.2)."""

import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from stn.data.contract import Places
from stn.data.digit_struct import Entry, read_digit_struct
from stn.data.image_cache import Kept, Made, kept
from stn.data.image_files import opened
from stn.data.pool import PoolDataModule, Split, windows
from stn.data.randomness import permutation, stream, uniform
from stn.data.svhn_recomposed import Recomposition
from stn.files.archives import provide
from stn.files.verified import DataError

URL = "http://ufldl.stanford.edu/housenumbers"
# The site publishes none: those of the archives that the docTR library loads the two sets from.
SHA256 = {
    "train": "4b17bb33b6cd8f963493168f80143da956f28ec406cc12f8e5745a9f91a51898",
    "test": "57ac9ceb530e4aa85b55d991be8fc49c695b3d71c6f6a88afea86549efde7fb5",
}
MAX_DIGITS, NONE = 5, 10
PADDINGS = ("black", "edge", "mean")


class Crop(NamedTuple):
    """How an image is cut round its number: the box of all digits, enlarged, stretched to a square.

    Attributes:
        size: side of the square, in pixels.
        enlarge: how much larger the cut is than the box, 0.3 for 30 %.
        padding: what is seen beyond the image's border: black, its edge, or its mean.
    """

    size: int
    enlarge: float
    padding: str

    def region(self, entry: Entry) -> tuple[float, float, float, float]:
        """Return left, top, right and bottom of the cut, which may lie outside of the image."""
        low, high = entry.boxes[:, :2], entry.boxes[:, :2] + entry.boxes[:, 2:]
        (left, top), (right, bottom) = low.min(axis=0), high.max(axis=0)
        x, y = self.enlarge / 2 * (right - left), self.enlarge / 2 * (bottom - top)
        return left - x, top - y, right + x, bottom + y

    def of(self, image: Image.Image, entry: Entry) -> NDArray[np.uint8]:
        """Return the cut (size, size, 3) of an image."""
        left, top, right, bottom = self.region(entry)
        beyond = [-left, right - image.width, -top, bottom - image.height]
        west, east, north, south = (max(0, int(np.ceil(side))) for side in beyond)
        pixels = np.asarray(image)
        margins = ((north, south), (west, east), (0, 0))
        if self.padding == "edge":
            pixels = np.pad(pixels, margins, mode="edge")
        else:
            value = 0 if self.padding == "black" else round(float(pixels.mean()))
            pixels = np.pad(pixels, margins, constant_values=value)
        box = (left + west, top + north, right + west, bottom + north)
        cut = Image.fromarray(pixels).resize(
            (self.size, self.size), Image.Resampling.BILINEAR, box=box
        )
        return np.asarray(cut)


class SvhnDataModule(PoolDataModule):
    """House numbers: random crops for training, the centre otherwise, and their mean taken off.

    A batch reaches the task as (U (B, 3, crop, crop) float32, digits (B, 5) int64), 10 where there
    is no digit. The mean of each image is 0, and so is what lies outside of it.

    Args:
        folders: of training images, in `data_dir/svhn`; of the first, `num_val` are held out, or a
            twentieth where these are fewer. What is not there is left out, and said.
        size, enlarge, padding: as of `Crop`.
        crop: side of what the network sees.
        num_val: images kept from training.
        batch_size, seed, data_seed, data_dir: as in `PoolDataModule`.
        recompose: makes further training images of those of the first folder that are not held out.

    Raises:
        ValueError: a number is out of range.
        DataError: the data are missing or damaged (on `setup`).
    """

    def __init__(
        self,
        folders: Sequence[str],
        size: int,
        crop: int,
        enlarge: float,
        padding: str,
        num_val: int,
        batch_size: int,
        seed: int,
        data_seed: int,
        data_dir: str | Path,
        recompose: Recomposition | None = None,
    ) -> None:
        super().__init__(batch_size, seed, data_seed, data_dir)
        if not 0 < crop <= size or enlarge < 0 or num_val < 1:
            raise ValueError(
                "wanted are 0 < crop <= size, enlarge from 0 and num_val from 1 up, not"
                f" {crop}, {size}, {enlarge} and {num_val}"
            )
        if padding not in PADDINGS:
            raise ValueError(f"padding must be one of {', '.join(PADDINGS)}, not {padding!r}")
        self.folders, self.crop, self.num_val = [*folders], crop, num_val
        self.cut = Crop(size, enlarge, padding)
        self.cache_dir = self.data_dir / "cache"
        self.recompose = recompose

    def prepare_data(self) -> None:
        """Fetches and unpacks what is not there, and cuts the images (one process does this)."""
        for name in (*self.folders, "test"):
            folder = self.data_dir / "svhn" / name
            archive = folder.with_name(f"{name}.tar.gz")
            is_needed = name in (self.folders[0], "test")
            url = f"{URL}/{archive.name}" if is_needed else None
            try:  # an archive that lies there may hold a part
                provide(folder, archive, name, url, md5=None, sha256=SHA256.get(name))
            except DataError as error:
                raise DataError(f"{error}\n{self._how_to_provide()}") from error
        self.load()

    def load(self) -> tuple[Mapping[str, Split], str]:
        """Reads what was cut; splits the training images."""
        folders = {name: self.data_dir / "svhn" / name for name in (*self.folders, "test")}
        if not (folders[self.folders[0]].is_dir() and folders["test"].is_dir()):
            raise DataError(self._how_to_provide())
        cuts = {
            name: cut_folder(folder, self.cut, self.cache_dir)
            for name, folder in folders.items()
            if folder.is_dir()
        }
        first = cuts[self.folders[0]].split
        val, train = self._held_out(len(first.targets))
        parts = [cuts[name].split for name in self.folders[1:] if name in cuts]
        if self.recompose is None:
            parts.insert(0, Split(first.pool[train], first.targets[train]))
        else:
            made = self._recomposed(self.recompose, cuts[self.folders[0]], train)
            cuts["recomposed"] = made
            parts.insert(0, made.split)
        splits = {
            "train": parts[0]
            if len(parts) == 1
            else Split(*map(torch.cat, zip(*parts, strict=True))),
            "val": Split(first.pool[val], first.targets[val]),
            "test": cuts["test"].split,
        }
        digest = hashlib.sha256("".join(cut.sha256 for cut in cuts.values()).encode())
        return splits, digest.hexdigest()

    def draw(self, split: str, pool: Tensor, numbers: Tensor, key: int) -> Tensor:
        """Crops the images, at random or in the middle, and takes their mean off."""
        places = uniform(key, numbers, 2) if split == "train" else None
        U = windows(pool, numbers, self.crop, places)
        return U.sub_(U.mean(dim=(1, 2, 3), keepdim=True))

    def count_images(self) -> dict[str, int]:
        """Images of each split; and the real ones of training, where some were made of these."""
        numbers = super().count_images()
        if self.recompose is None:
            return numbers
        return {**numbers, "train_real": numbers["train"] - self.recompose.count}

    def _held_out(self, num: int) -> tuple[Tensor, Tensor]:
        """Divide the numbers of the first folder's images into those held out and the others."""
        num_val = min(self.num_val, num // 20)
        order = permutation(stream(self.data_seed, "validation"), num)
        return order[:num_val], order[num_val:].sort().values

    def _how_to_provide(self) -> str:
        return (
            f"no SVHN in {self.data_dir / 'svhn'}: wanted are {self.folders[0]}/ and test/ with"
            f" digitStruct.mat and PNG files, the full-number format ('Format 1') of {URL}, or its"
            " archives train.tar.gz, test.tar.gz and, where wanted, extra.tar.gz"
        )

    def places(self, split: str) -> Places:
        """The box of all digits, which the crop puts at the same place of every image.

        Its size is the logarithm of its height in the image that it was cut from.
        """
        self.setup()
        half = self.cut.size / (1 + self.cut.enlarge) / (self.crop - 1)
        num = len(self._splits[split].targets)
        boxes = torch.tensor([-half, -half, half, half]).expand(num, 4)
        seen = torch.ones(num, 1).bool()
        return Places(("number",), torch.zeros(num, 1, 2), seen, boxes, self._heights(split))

    def _heights(self, split: str) -> Tensor:
        """How high the number is in the image that it was cut from (N,), as its logarithm."""
        name = {"test": "test", "val": self.folders[0]}[split]
        entries, _ = _wanted(self.data_dir / "svhn" / name)
        tops = [entry.boxes[:, 1].min() for entry in entries]
        ends = [(entry.boxes[:, 1] + entry.boxes[:, 3]).max() for entry in entries]
        heights = torch.tensor(np.log2(np.subtract(ends, tops)))
        return heights[self._held_out(len(entries))[0]] if split == "val" else heights

    def _recomposed(self, recompose: Recomposition, real: Kept, train: Tensor) -> Kept:
        """Return the training images of the first folder, and what is made of them."""
        folder = self.data_dir / "svhn" / self.folders[0]

        def make() -> Made:
            entries, _ = _wanted(folder)
            made = recompose.images([entries[i] for i in train.tolist()], partial(_open, folder))

            def samples() -> Iterator[_Sample]:
                for i in train:
                    pixels = real.split.pool[i].permute(1, 2, 0).numpy()
                    yield pixels, real.split.targets[i].tolist()
                for image, entry in made:
                    yield _sample(self.cut, image, entry)

            return Made(len(train) + recompose.count, samples(), {})

        content = [real.sha256, train.tolist(), recompose.key(), *self.cut]
        return kept(self.cache_dir / "svhn-recomposed", content, make)


def cut_folder(folder: Path, cut: Crop, cache_dir: Path) -> Kept:
    """Return the numbers of a folder, cut; keep them in memory-mapped files of `cache_dir`.

    Raises:
        DataError: `digitStruct.mat` or an image is damaged, or no image is there; names it.
    """
    paths = [folder / "digitStruct.mat", *sorted(folder.glob("*.png"))]
    try:
        stats = [(path.name, (stat := path.stat()).st_size, stat.st_mtime_ns) for path in paths]
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error}") from error

    def make() -> Made:
        entries, left_out = _wanted(folder)

        def samples() -> Iterator[_Sample]:
            with ThreadPoolExecutor() as threads:
                yield from threads.map(lambda e: _sample(cut, _open(folder, e), e), entries)

        return Made(len(entries), samples(), left_out)

    found = kept(cache_dir / f"svhn-{folder.name}", [stats, *cut], make)
    for reason, number in found.left_out.items():
        if number:
            print(f"{folder}: {number} of the images that are listed {reason}", file=sys.stderr)
    return found


_Sample = tuple[NDArray[np.uint8], list[int]]


def _sample(cut: Crop, image: Image.Image, entry: Entry) -> _Sample:
    digits = entry.digits.tolist()
    return cut.of(image, entry), digits + [NONE] * (MAX_DIGITS - len(digits))


def _wanted(folder: Path) -> tuple[list[Entry], dict[str, int]]:
    """Return the entries whose images are there, and how many others were left out, and why."""
    entries = read_digit_struct(folder / "digitStruct.mat")
    files = {path.name for path in folder.glob("*.png")}
    there = [entry for entry in entries if entry.name in files]
    kept = [entry for entry in there if len(entry.digits) <= MAX_DIGITS]
    if not kept:
        raise DataError(f"{folder}: none of the {len(entries)} images that are listed is there")
    missing, longer = len(entries) - len(there), len(there) - len(kept)
    return kept, {"are not there": missing, f"have over {MAX_DIGITS} digits": longer}


def _open(folder: Path, entry: Entry) -> Image.Image:
    with opened(folder / entry.name, "PNG") as image:
        _check_boxes(entry, image)
        return image.convert("RGB")


def _check_boxes(entry: Entry, image: Image.Image) -> None:
    """Refuse a box that lies outside of its image; some of the official ones stick out."""
    left, top, width, height = entry.boxes.T
    is_outside = (left + width <= 0) | (top + height <= 0)
    is_outside |= (left >= image.width) | (top >= image.height)
    if is_outside.any():
        raise ValueError(f"a box lies outside of its {image.width} x {image.height} pixels")
