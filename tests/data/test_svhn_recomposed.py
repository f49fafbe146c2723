from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stn.data import svhn, svhn_recomposed
from stn.data.digit_struct import Entry
from stn.data.svhn import SvhnDataModule
from stn.data.svhn_recomposed import (
    NEW_DIGITS,
    Recomposition,
    compose,
)
from stn.data.svhn_strokes import Background, take_apart
from stn.files.verified import DataError
from tests.svhn_files import FONTS, Number, made_up, plate, write, write_struct

NUMBERS = ["1234", "56", "7890", "3"]


def opener(seen: list[str] | None = None) -> tuple[list[Entry], Callable[[Entry], Image.Image]]:
    plates = {f"{i}.png": plate(digits, i) for i, digits in enumerate(NUMBERS)}
    entries = [entry._replace(name=name) for name, (_, entry, _) in plates.items()]
    return entries, lambda entry: plates[entry.name][0]


@pytest.mark.parametrize("font_share", [0.0, 0.5, 1.0])
def test_numbers_depend_on_the_seed_and_their_place_alone(font_share: float) -> None:
    entries, image_of = opener()

    def make(count: int, seed: int) -> list[tuple[Image.Image, Entry]]:
        return [*Recomposition(count, font_share, FONTS, seed).images(entries, image_of)]

    few, many, others = make(5, 3), make(9, 3), make(5, 4)
    for (image, entry), (same, same_entry) in zip(few, many[:5], strict=True):
        assert image.tobytes() == same.tobytes()
        assert np.array_equal(entry.boxes, same_entry.boxes)
    assert any(a.tobytes() != b.tobytes() for (a, _), (b, _) in zip(few, others, strict=True))


def test_digits_stand_where_their_boxes_are() -> None:
    entries, image_of = opener()
    for image, entry in Recomposition(20, 0.5, FONTS, 0).images(entries, image_of):
        low, high = entry.boxes[:, :2], entry.boxes[:, :2] + entry.boxes[:, 2:]
        assert (low >= -1).all()
        assert (high <= np.array(image.size) + 1).all()
        pixels = np.asarray(image, float).mean(axis=2)
        (left, top), (right, bottom) = low.min(axis=0), high.max(axis=0)
        inside = pixels[int(top) : int(bottom), int(left) : int(right)]
        rest = np.concatenate([pixels[: int(top) - 3].ravel(), pixels[int(bottom) + 3 :].ravel()])
        assert inside.std() > 2 * rest.std()


def blocks() -> tuple[list[Entry], Background, dict[int, list[np.ndarray]]]:
    """Layouts of four wide digits, a black wall, and "strokes": blocks, the brighter the higher."""
    alphabet = {k: [np.full((30, 10 + 2 * k), (k + 1) / 11, np.float32)] for k in range(10)}
    boxes = np.array([[40.0 + 34 * i, 50 + 3 * i, 28, 35] for i in range(4)])
    layouts = [Entry(f"{i}.png", boxes, np.array([i, 9, 0, 5 + i])) for i in range(4)]
    wall = np.zeros((140, 300, 3), np.uint8)
    white = np.full(3, 255, np.float32)
    return layouts, Background(wall, np.array([60.0, 50, 190, 90]), white, 255.0), alphabet


@pytest.mark.parametrize("seed", range(6))
def test_each_box_holds_the_digit_that_it_is_said_to_hold(seed: int) -> None:
    layouts, background, alphabet = blocks()
    random = np.random.default_rng(seed)
    white = np.full((5, 3), 255, np.float32)
    image, entry = compose(random, layouts[seed % 4], background, white, alphabet)
    pixels = np.asarray(image, float).mean(axis=2)
    middles = (entry.boxes[:, :2] + entry.boxes[:, 2:] / 2).astype(int)
    seen = [np.median(pixels[y - 4 : y + 5, x - 3 : x + 4]) for x, y in middles]
    for one, other in combinations(range(4), 2):
        if abs(entry.digits[one] - entry.digits[other]) > 1:  # noise and shadows blur a step
            is_brighter = seen[one] > seen[other]
            assert is_brighter == (entry.digits[one] > entry.digits[other])
    inside = np.zeros_like(pixels)
    for left, top, width, height in entry.boxes:
        inside[
            max(0, int(top)) : int(top + height) + 1, max(0, int(left)) : int(left + width) + 1
        ] = 1
    lit = pixels > pixels.max() / 3
    assert (lit & (inside > 0)).sum() > 0.9 * lit.sum()  # the rest are shadows and corners
    assert lit.sum() > 0.4 * inside.sum()


def test_about_half_of_the_digits_are_other_than_those_of_the_layout() -> None:
    layouts, background, alphabet = blocks()
    white = np.full((5, 3), 255, np.float32)
    made = [
        compose(np.random.default_rng(i), layouts[0], background, white, alphabet)[1].digits
        for i in range(200)
    ]
    kept = (np.array(made) == layouts[0].digits).mean(axis=0)
    assert np.allclose(kept[1:], 1 - NEW_DIGITS * 0.9, atol=0.12)
    assert len({tuple(digits) for digits in made}) > 100
    assert all(digits[0] > 0 for digits in made if digits[0] != layouts[0].digits[0])


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "svhn/train"
    folder.mkdir(parents=True)
    listed = {}
    for i in range(40):
        image, entry, _ = plate(NUMBERS[i % 4], i)
        image.save(folder / f"{i}.png")
        rows = np.hstack([entry.boxes, np.where(entry.digits == 0, 10, entry.digits)[:, None]])
        listed[f"{i}.png"] = Number(image.size, [tuple(row) for row in rows.tolist()])
    write_struct(folder / "digitStruct.mat", listed)
    write(tmp_path / "svhn/test", made_up(5, seed=2))
    return tmp_path


def module(data_dir: Path, recompose: Recomposition | None) -> SvhnDataModule:
    return SvhnDataModule(["train"], 32, 27, 0.3, "edge", 5000, 8, 0, 0, data_dir, recompose)


def test_they_join_the_training_images_and_come_of_these_alone(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, more = module(data_dir, None), module(data_dir, Recomposition(30, 0.5, FONTS, 0))
    plain.setup()
    opened = set()

    def take(image: Image.Image, entry: Entry):
        opened.add(entry.name)
        return take_apart(image, entry)

    monkeypatch.setattr(svhn_recomposed, "take_apart", take)
    more.setup()
    assert len(opened) == 38
    for split in ("val", "test"):
        assert more._splits[split].pool.equal(plain._splits[split].pool)
    assert more._splits["train"].pool[:38].equal(plain._splits["train"].pool)
    assert more.count_images() == {"train": 38 + 30, "val": 2, "test": 5, "train_real": 38}
    assert len({plain.data_sha256(), more.data_sha256()}) == 2
    held_out = {tuple(image.flatten().tolist()) for image in plain._splits["val"].pool}
    cuts = svhn.cut_folder(data_dir / "svhn/train", plain.cut, plain.cache_dir).split.pool
    unused = {i for i in range(40) if tuple(cuts[i].flatten().tolist()) in held_out}
    assert opened == {f"{i}.png" for i in sorted(range(40), key=str)} - _names(data_dir, unused)


def _names(data_dir: Path, numbers: set[int]) -> set[str]:
    entries = svhn._wanted(data_dir / "svhn/train")[0]
    return {entries[i].name for i in numbers}


def test_what_was_made_is_kept_until_something_changes(data_dir: Path) -> None:
    def kept(*arguments: object) -> set[Path]:
        module(data_dir, Recomposition(*arguments)).data_sha256()  # type: ignore[arg-type]
        return {*(data_dir / "cache").glob("svhn-recomposed-*.npy")}

    first = kept(6, 0.5, FONTS, 0)
    assert len(first) == 1
    assert kept(6, 0.5, FONTS, 0) == first
    assert len(kept(6, 0.5, FONTS, 1)) == 2
    assert len(kept(6, 0.0, None, 0)) == 3


@pytest.mark.parametrize(
    "arguments", [(0, 0.5, FONTS, 0), (5, 1.5, FONTS, 0), (5, -0.1, FONTS, 0), (5, 0.5, None, 0)]
)
def test_what_cannot_be_is_refused(arguments: tuple) -> None:
    with pytest.raises(ValueError, match="wanted are a count from 1 up"):
        Recomposition(*arguments)


def test_missing_fonts_and_digits_are_named(tmp_path: Path) -> None:
    entries, image_of = opener()
    with pytest.raises(DataError, match=r"no TrueType .* `make fonts`"):
        next(Recomposition(5, 0.5, str(tmp_path), 0).images(entries, image_of))
    with pytest.raises(DataError, match=r"digits \[5, 6\]"):
        next(Recomposition(5, 0.0, None, 0).images([entries[0], entries[2]], image_of))
