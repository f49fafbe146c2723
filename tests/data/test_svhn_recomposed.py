from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from stn.data import svhn, svhn_recomposed
from stn.data.digit_struct import Entry
from stn.data.svhn import SvhnDataModule
from stn.data.svhn_recomposed import Recomposition, take_apart
from stn.files.verified import DataError
from tests.svhn_files import Number, made_up, write, write_struct

FONTS = str(Path(matplotlib.get_data_path()) / "fonts/ttf")  # DejaVu, and others without digits
GROUND, INK = (200, 190, 170), (30, 40, 90)


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


NUMBERS = ["1234", "56", "7890", "3"]


def opener(seen: list[str] | None = None) -> tuple[list[Entry], Callable[[Entry], Image.Image]]:
    plates = {f"{i}.png": plate(digits, i) for i, digits in enumerate(NUMBERS)}
    entries = [entry._replace(name=name) for name, (_, entry, _) in plates.items()]
    return entries, lambda entry: plates[entry.name][0]


@pytest.mark.parametrize("digits", ["8", "27", "1965"])
def test_a_number_is_parted_from_what_is_behind_it(digits: str) -> None:
    image, entry, wall = plate(digits)
    background, found = take_apart(image, entry)
    kept = np.asarray(background.pixels, float)
    left, top, right, bottom = background.box
    inside = (slice(int(top), int(bottom)), slice(int(left), int(right)))
    x, y = (entry.boxes[:, :2].min(axis=0) - [left, top]).astype(int)  # what was cut off
    behind = wall[y : y + kept.shape[0], x : x + kept.shape[1]]
    assert np.abs(kept - behind)[inside].mean() < 6  # ink is 140 away
    assert np.abs(background.ink - INK).max() < 15
    assert [label for label, _ in found] == [*map(int, digits)]
    font = ImageFont.truetype(f"{FONTS}/DejaVuSans-Bold.ttf", 30)
    for label, strokes in found:
        mask = Image.new("L", strokes.shape[::-1])
        x0, y0, _, _ = font.getbbox(str(label))
        ImageDraw.Draw(mask).text((-x0, -y0), str(label), fill=255, font=font)
        assert np.abs(strokes - np.asarray(mask) / 255.0).mean() < 0.12


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
    numbers = {"".join(map(str, entry.digits)) for entry in entries}
    for image, entry in Recomposition(20, 0.5, FONTS, 0).images(entries, image_of):
        assert "".join(map(str, entry.digits)) in numbers
        low, high = entry.boxes[:, :2], entry.boxes[:, :2] + entry.boxes[:, 2:]
        assert (low >= -1).all()
        assert (high <= np.array(image.size) + 1).all()
        pixels = np.asarray(image, float).mean(axis=2)
        (left, top), (right, bottom) = low.min(axis=0), high.max(axis=0)
        inside = pixels[int(top) : int(bottom), int(left) : int(right)]
        rest = np.concatenate([pixels[: int(top) - 3].ravel(), pixels[int(bottom) + 3 :].ravel()])
        assert inside.std() > 2 * rest.std()


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
    return SvhnDataModule(["train"], 32, 27, 0.3, "edge", 5000, 8, 0, 0, data_dir, None, recompose)


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
