"""CUB-200-2011: birds of 200 kinds, with their boxes and parts (Section 4.3).

Labels alone are trained on; boxes and parts tell afterwards what the transformers look at.
"""

import hashlib
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.ExifTags import Base
from torch import Tensor

from stn.data.contract import Places
from stn.data.cub_lists import (
    MD5,
    NUM_CLASSES,
    URL,
    Bird,
    how_to_provide,
    read_birds,
    read_parts,
    table,
)
from stn.data.image_cache import Kept, Made, kept
from stn.data.image_files import opened
from stn.data.pool import PoolDataModule, Split, windows
from stn.data.randomness import permutation, stream, uniform
from stn.files.archives import provide
from stn.files.regular import regular
from stn.files.verified import DataError

HEAD = ("beak", "crown", "forehead", "left eye", "nape", "right eye", "throat")  # all else: body


class CubDataModule(PoolDataModule):
    """Birds: random crops and flips for training, the centre otherwise.

    A batch reaches the task as (U (B, 3, crop, crop) in [0, 1], labels (B,)). Images are scaled
    such that their shorter side is `side`, and the middle square is kept.

    Args:
        side: of the images that are kept.
        crop: side of what the network sees.
        val_share: share of the training images that is held out.
        batch_size, seed, data_seed, data_dir: as in `PoolDataModule`.

    Raises:
        ValueError: a number is out of range.
        DataError: the data are missing or damaged (on `setup`); names the file.
    """

    def __init__(
        self,
        side: int,
        crop: int,
        val_share: float,
        batch_size: int,
        seed: int,
        data_seed: int,
        data_dir: str | Path,
    ) -> None:
        super().__init__(batch_size, seed, data_seed, data_dir)
        if not 0 < crop <= side or not 0 < val_share < 1:
            raise ValueError(
                "wanted are 0 < crop <= side and a share between 0 and 1 for validation, not"
                f" {crop}, {side} and {val_share}"
            )
        self.side, self.crop, self.val_share = side, crop, val_share
        self.folder = self.data_dir / "cub"

    def prepare_data(self) -> None:
        """Fetches and unpacks what is not there, and scales the images (one process does this)."""
        archive = self.data_dir / "CUB_200_2011.tgz"
        try:
            provide(self.folder, archive, "CUB_200_2011", URL, MD5)
        except DataError as error:
            raise DataError(f"{error}\n{how_to_provide(self.folder)}") from error
        self.load()
        of = {name: {b.label + 1 for b in self.birds()[name]} for name in ("train", "test")}
        for name, other in (("train", "test"), ("test", "train")):
            if lacking := sorted(of[other] - of[name]):
                text = f"no {name} image is of the classes {ranges(lacking)}"
                print(f"{self.folder}: {text}", file=sys.stderr)

    def birds(self) -> dict[str, list[Bird]]:
        """The images of each split in the order of its samples."""
        birds = read_birds(self.folder)
        found = {name: [b for b in birds if b.split == name] for name in ("train", "test")}
        order = permutation(stream(self.data_seed, "validation"), len(found["train"])).tolist()
        mixed = [found["train"][i] for i in order]
        num_val = max(1, round(self.val_share * len(mixed)))
        return {"val": mixed[:num_val], "train": mixed[num_val:], "test": found["test"]}

    def load(self) -> tuple[Mapping[str, Split], str]:
        """Reads the images; those held out come first, so that both parts are views of one file."""
        birds = self.birds()
        both = [*dict.fromkeys(birds["val"] + birds["train"])]
        num_val, start = len(birds["val"]), len(both) - len(birds["train"])
        first = self._kept("train", both)
        test = self._kept("test", birds["test"])
        splits = {
            "val": Split(first.split.pool[:num_val], first.split.targets[:num_val]),
            "train": Split(first.split.pool[start:], first.split.targets[start:]),
            "test": test.split,
        }
        return splits, hashlib.sha256((first.sha256 + test.sha256).encode()).hexdigest()

    def draw(self, split: str, pool: Tensor, numbers: Tensor, key: int) -> Tensor:
        """Crops the images, at random or in the middle, and flips half of those of training."""
        if split != "train":
            return windows(pool, numbers, self.crop)
        drawn = uniform(key, numbers, 3)
        U = windows(pool, numbers, self.crop, drawn[:, :2])
        return torch.where(drawn[:, 2, None, None, None] < 0.5, U.flip(3), U)

    def part(self) -> str | None:
        """Which classes are there, numbered from 1; None if all are."""
        numbers = sorted({bird.label + 1 for bird in read_birds(self.folder)})
        return (
            None if len(numbers) == NUM_CLASSES else f"classes {ranges(numbers)} of {NUM_CLASSES}"
        )

    def places(self, split: str) -> Places:
        """Parts and boxes of the birds of a split, in what the network sees of their images.

        Of a box that sticks out of its image, the part inside counts.

        Raises:
            DataError: a list is missing or wrong; a box, or a part that is visible, lies outside of
                its image.
        """
        birds = self.birds()
        numbers = {bird.number: bird for part in birds.values() for bird in part}
        parts = {k: v[0] for k, v in table(self.folder / "parts/parts.txt", [str]).items()}
        boxes = table(self.folder / "bounding_boxes.txt", [float] * 4, among=numbers)
        located = read_parts(self.folder / "parts/part_locs.txt", numbers, list(parts))
        found, num_cut = [], 0
        for bird in birds[split]:
            with Image.open(regular(self.folder / "images" / bird.name)) as image:
                size, turn = np.array(image.size, float), image.getexif().get(Base.Orientation, 1)
            corners = corners_of(self.folder, bird, boxes[bird.number], size)
            check_visible(
                self.folder, bird, dict(zip(parts, located[bird.number], strict=True)), size
            )
            inside = corners.clip(0, size)
            num_cut += bool((inside != corners).any())
            spots = located[bird.number][:, :2]
            positions, size = upright(np.vstack([inside, spots]), size, turn)
            positions[:2] = positions[:2].min(axis=0), positions[:2].max(axis=0)
            # The middle square is scaled to `side`, of which the middle `crop` is seen.
            middle = (positions - (size - size.min()) / 2) * self.side / size.min()
            seen = middle - (self.side - self.crop) // 2 - 0.5
            found.append(2 * seen / (self.crop - 1) - 1)
        if num_cut:
            print(f"{self.folder}: {num_cut} boxes stick out of their images", file=sys.stderr)
        all_places = torch.tensor(np.stack(found), dtype=torch.float32)
        is_seen = np.stack([located[bird.number][:, 2] for bird in birds[split]]) == 1
        points = all_places[:, 2:]
        is_in_view = (points.abs() <= 1).all(dim=2)
        boxes_seen = all_places[:, :2].flatten(1)
        names = tuple(parts.values())
        head = tuple(name for name in names if name in HEAD)
        body = tuple(name for name in names if name not in HEAD)
        groups = (("head", head), ("body", body))
        is_seen_there = torch.from_numpy(is_seen) & is_in_view
        return Places(names, points, is_seen_there, boxes_seen, groups=groups)

    def _kept(self, name: str, birds: list[Bird]) -> Kept:
        paths = [self.folder / "images" / bird.name for bird in birds]
        try:
            stats = [(path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
        except OSError as error:
            raise DataError(f"images.txt names {error.filename}, which cannot be read") from error

        def samples() -> Iterator[tuple[NDArray[np.uint8], int]]:
            with ThreadPoolExecutor() as threads:
                images = threads.map(lambda path: square(path, self.side), paths)
                yield from zip(images, (bird.label for bird in birds), strict=True)

        content = [self.side, [(bird.name, bird.label) for bird in birds], stats]
        stem = self.data_dir / "cache" / f"cub-{name}"
        return kept(stem, content, lambda: Made(len(birds), samples(), {}))


class SeenCubDataModule(CubDataModule):
    """Trains on all training images, and validates on some of them without crops and flips.

    So the validation accuracy is the training accuracy, and what the test set is below it is
    over-fitting.
    """

    def birds(self) -> dict[str, list[Bird]]:
        """The images of each split in the order of its samples: "val" is in "train", too."""
        found = super().birds()
        return {**found, "train": found["val"] + found["train"]}


def square(path: Path, side: int) -> NDArray[np.uint8]:
    """Return the middle square (side, side, 3) of an image, whatever its colours and turn.

    Raises:
        DataError: it is no JPEG that can be read, or has more pixels than any of the set.
    """
    with opened(path, "JPEG") as image:
        turned = ImageOps.exif_transpose(image).convert("RGB")
        return np.asarray(ImageOps.fit(turned, (side, side), Image.Resampling.BILINEAR))


def corners_of(
    folder: Path, bird: Bird, box: tuple[float, ...], size: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return left and top, right and bottom of a box, which may stick out of its image."""
    left, top, width, height = box
    is_there = 0 < width < math.inf and 0 < height < math.inf  # a NaN is not
    if not (is_there and -width < left < size[0] and -height < top < size[1]):
        raise DataError(
            f"{folder / 'bounding_boxes.txt'}: the box of image {bird.number} has no area"
            f" in its {size[0]:.0f} x {size[1]:.0f} pixels"
        )
    return np.array([[left, top], [left + width, top + height]])


def check_visible(
    folder: Path, bird: Bird, parts: Mapping[int, NDArray[np.float64]], size: NDArray[np.float64]
) -> None:
    """Refuse a part (x, y, 1 where it is visible) that is to be seen outside of its image."""
    for part, (x, y, is_visible) in parts.items():
        if is_visible and not (0 <= x <= size[0] and 0 <= y <= size[1]):
            raise DataError(
                f"{folder / 'parts/part_locs.txt'}: part {part} of image {bird.number} is"
                f" visible, but outside of its {size[0]:.0f} x {size[1]:.0f} pixels"
            )


def upright(
    points: NDArray[np.float64], size: NDArray[np.float64], turn: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return points (K, 2) and size of an image after `ImageOps.exif_transpose` has turned it.

    Args:
        points: (x, y) in the image as it is stored, the left and top edge at 0.
        size: its width and height.
        turn: the orientation that its EXIF data tell, 1 to 8.
    """
    x, y = points.T
    x = size[0] - x if turn in (2, 3, 7, 8) else x
    y = size[1] - y if turn in (3, 4, 6, 7) else y
    return (np.stack([y, x], 1), size[::-1]) if turn >= 5 else (np.stack([x, y], 1), size)


def ranges(numbers: Sequence[int]) -> str:
    """Write rising numbers as ranges, such as "1-40, 57"."""
    starts = [n for n in numbers if n - 1 not in numbers]
    ends = [n for n in numbers if n + 1 not in numbers]
    return ", ".join(f"{a}-{b}" if a < b else f"{a}" for a, b in zip(starts, ends, strict=True))
