import hashlib
import io
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from stn.data import cub, cub_lists, image_files
from stn.data.cub import CubDataModule, SeenCubDataModule, square
from stn.data.cub_lists import read_birds
from stn.files.verified import DataError
from stn.running.preparing import Cell
from tests.cub_files import write
from tests.data.test_contract import check_contract


def module(data_dir: Path, **changes: object) -> CubDataModule:
    arguments = {"side": 40, "crop": 31, "val_share": 0.2, "batch_size": 4, "seed": 0}
    return CubDataModule(**(arguments | changes), data_seed=0, data_dir=data_dir)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data_dir = tmp_path_factory.mktemp("cub")
    write(data_dir / "cub")
    return data_dir


def test_it_keeps_the_contract(data_dir: Path, compose_train: Callable[..., Any]) -> None:
    of_cell = ("recipe=smoke", "model=cub_cnn", "data=cub", f"data_dir={data_dir}")
    config: Any = OmegaConf.to_container(compose_train(*of_cell), resolve=True)
    check_contract(Cell(config, "cub", "python -m stn.train"))


def test_the_official_split_and_what_is_held_out(data_dir: Path) -> None:
    data = module(data_dir)
    data.setup()
    assert {name: len(split.targets) for name, split in data._splits.items()} == {
        "val": 4,
        "train": 14,
        "test": 9,
    }
    birds = data.birds()
    for name, split in data._splits.items():
        assert split.targets.tolist() == [bird.label for bird in birds[name]]
        for pixels, bird in zip(split.pool, birds[name], strict=True):
            kept = square(data_dir / "cub/images" / bird.name, 40)
            assert np.array_equal(pixels.permute(1, 2, 0), kept)
    assert not {b.number for b in birds["val"]} & {b.number for b in birds["train"]}


def test_what_is_validated_on_may_be_trained_on_to_tell_the_training_accuracy(
    data_dir: Path,
) -> None:
    held_out = module(data_dir)
    seen = SeenCubDataModule(40, 31, 0.2, 4, 0, 0, data_dir)
    assert seen.count_images() == {"val": 4, "train": 18, "test": 9}
    assert held_out.count_images() == {"val": 4, "train": 14, "test": 9}
    assert torch.equal(seen._splits["train"].pool[:4], held_out._splits["val"].pool)
    assert torch.equal(seen._splits["train"].pool[4:], held_out._splits["train"].pool)
    assert [b.label for b in seen.birds()["train"]] == seen._splits["train"].targets.tolist()


def test_training_crops_move_and_flip_and_others_do_not(data_dir: Path) -> None:
    data = module(data_dir)
    data.setup()
    pool, numbers = data._splits["train"].pool, torch.arange(14)
    random = data.draw("train", pool, numbers, 5)
    assert torch.equal(random, data.draw("train", pool, numbers, 5))
    assert not torch.equal(random, data.draw("train", pool, numbers, 6))
    flipped = set()
    for number in range(14):
        windows = pool[number].float().div(255).unfold(1, 31, 1).unfold(2, 31, 1)
        windows = windows.permute(1, 2, 0, 3, 4).flatten(0, 1)
        plain, mirrored = (
            (windows == U).all(dim=(1, 2, 3)).any().item()
            for U in (random[number], random[number].flip(2))
        )
        assert plain is not mirrored
        flipped.add(mirrored)
    assert flipped == {True, False}
    centre = data.draw("test", pool, numbers, 5)
    assert torch.equal(centre, pool[:, :, 4:35, 4:35].float() / 255)


@pytest.mark.parametrize("mode", ["L", "CMYK", "YCbCr", "turned"])
def test_images_of_any_colours_and_turn_become_rgb(tmp_path: Path, mode: str) -> None:
    pixels = np.zeros((60, 30, 3), np.uint8)
    pixels[:30] = 200  # light above, dark below
    image, path = Image.fromarray(pixels), tmp_path / "a.jpg"
    if mode == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6  # to be shown turned clockwise by a quarter
        image.rotate(90, expand=True).save(path, exif=exif)
    else:
        image.convert(mode).save(path)
    found = square(path, 20)
    assert found.shape == (20, 20, 3)
    assert found[:8].min() > 150
    assert found[-8:].max() < 50


def test_it_says_where_the_data_belong(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no CUB-200-2011 in .*or that archive"):
        module(tmp_path).setup()


def _append(name: str, line: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        with (folder / name).open("a") as file:
            file.write(line + "\n")

    return damage


def _replace(name: str, old: str, new: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))

    return damage


def _spoil(content: bytes) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / "images/001.Bird/Bird_0.jpg").write_bytes(content)

    return damage


def _as_png(mode: str) -> bytes:
    """A picture with transparency."""
    file = io.BytesIO()
    Image.new(mode, (50, 40)).save(file, "PNG")
    return file.getvalue()


def _torn() -> bytes:
    file = io.BytesIO()
    Image.effect_noise((50, 40), 60).save(file, "JPEG")
    return file.getvalue()[:500]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_append("images.txt", "999 x.jpg"), r"image_class_labels.txt .* do not fit: 1 .* 999"),
        (_append("train_test_split.txt", "777 1"), r"train_test_split.txt .* do not fit: 1 .* 777"),
        (_append("image_class_labels.txt", "1 2"), r"labels.txt, line 28: 1 is there twice"),
        (_append("image_class_labels.txt", "x y"), r"labels.txt, line 28: 'x y'"),
        (_append("images.txt", "5"), r"images.txt, line 28: '5'"),
        (_append("images.txt", ""), r"images.txt, line 28: ''"),
        (_replace("image_class_labels.txt", "1 1\n", "1 201\n"), r"image 1 has class 201"),
        (_replace("train_test_split.txt", "1 1\n", "1 2\n"), r"image 1 has .* split 2"),
        (_replace("images.txt", "1 001.Bird", "1 ../001.Bird"), r"lies outside of images/"),
        (_replace("images.txt", "Bird_1.jpg", "Bird_0.jpg"), r"Bird_0.jpg is there twice"),
        (_replace("images.txt", "Bird_0.jpg", "none.jpg"), r"images.txt names .*none.jpg"),
        (_spoil(b"not a picture"), r"Bird_0.jpg is no JPEG, but no image that can be read"),
        (_spoil(b""), r"Bird_0.jpg is no JPEG, but no image that can be read"),
        (_spoil(_torn()), r"Bird_0.jpg is damaged"),
        (_spoil(_as_png("RGBA")), r"Bird_0.jpg is no JPEG, but PNG: convert it"),
        (_spoil(_as_png("LA")), r"Bird_0.jpg is no JPEG, but PNG: convert it"),
        (lambda folder: (folder / "train_test_split.txt").unlink(), r"split.txt cannot be read"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, damage, message: str) -> None:
    damage(write(tmp_path / "cub"))
    with pytest.raises(DataError, match=message):
        module(tmp_path).setup()


def test_a_picture_of_too_many_pixels_is_refused(tmp_path: Path, monkeypatch) -> None:
    write(tmp_path / "cub")
    monkeypatch.setattr(image_files, "MAX_PIXELS", 100)
    with pytest.raises(DataError, match="pixels are more than any has"):
        module(tmp_path).setup()


def test_an_inverted_split_is_recognised_by_the_official_counts(
    tmp_path: Path, monkeypatch
) -> None:
    folder = write(tmp_path / "cub", train=2, test=5)
    monkeypatch.setattr(cub_lists, "OFFICIAL", {"train": 15, "test": 6})
    with pytest.raises(DataError, match="is inverted"):
        read_birds(folder)


def test_classes_that_a_split_lacks_are_said(tmp_path: Path, capsys) -> None:
    folder = write(tmp_path / "cub", classes=3, train=2, test=1)
    text = (folder / "train_test_split.txt").read_text()
    for line in ("6 0", "7 1", "8 1"):  # of the second class none is tested, of the third trained
        text = text.replace(line, line[:-1] + str(1 - int(line[-1])))
    (folder / "train_test_split.txt").write_text(text)
    module(tmp_path, batch_size=1).prepare_data()
    said = capsys.readouterr().err
    assert said.count("no test image is of the classes 2\n") == 1
    assert said.count("no train image is of the classes 3\n") == 1


def test_the_archive_is_unpacked_into_an_empty_folder(tmp_path: Path, monkeypatch) -> None:
    made, archive = write(tmp_path / "made/CUB_200_2011"), tmp_path / "CUB_200_2011.tgz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(made, made.name)
    monkeypatch.setattr(cub, "MD5", hashlib.md5(archive.read_bytes()).hexdigest())
    (tmp_path / "cub").mkdir()
    data = module(tmp_path)
    data.prepare_data()
    assert data.count_images() == {"val": 4, "train": 14, "test": 9}


def test_it_tells_which_classes_are_there(data_dir: Path, monkeypatch) -> None:
    assert module(data_dir).part() == "classes 1-3 of 200"
    monkeypatch.setattr(cub, "NUM_CLASSES", 3)
    assert module(data_dir).part() is None
    assert cub.ranges([1, 2, 3, 7, 9, 10]) == "1-3, 7, 9-10"


def test_corrected_labels_count_though_the_images_are_kept(tmp_path: Path) -> None:
    folder = write(tmp_path / "cub")
    before = module(tmp_path)
    before.setup()
    labels = folder / "image_class_labels.txt"
    labels.write_text(labels.read_text().replace(" 1\n", " 9\n"))
    after = module(tmp_path)
    after.setup()
    for name, split in after._splits.items():
        assert split.targets.tolist() == [bird.label for bird in after.birds()[name]]
    assert after.data_sha256() != before.data_sha256()


def _no_array(pool: Path) -> None:
    pool.unlink()


def _short_array(pool: Path) -> None:
    pool.write_bytes(pool.read_bytes()[:-500])


def _other_array(pool: Path) -> None:
    np.save(pool, np.zeros((2, 3, 40, 40), np.uint8))


def _torn_text(pool: Path) -> None:
    text = pool.with_suffix(".json").read_text()
    pool.with_suffix(".json").write_text(text[: len(text) // 2])


def _other_text(pool: Path) -> None:
    pool.with_suffix(".json").write_text("[1, 2]")


@pytest.mark.parametrize("damage", [_no_array, _short_array, _other_array, _torn_text, _other_text])
def test_kept_images_that_are_damaged_are_made_again(tmp_path: Path, damage, capsys) -> None:
    write(tmp_path / "cub")
    before = module(tmp_path)
    before.setup()
    images = {name: before._splits[name].pool.clone() for name in ("val", "train", "test")}
    for pool in (tmp_path / "cache").glob("*.npy"):
        damage(pool)
    after = module(tmp_path)
    after.setup()
    assert after.data_sha256() == before.data_sha256()
    assert all(torch.equal(after._splits[name].pool, images[name]) for name in images)
    assert capsys.readouterr().err.count("is damaged and made again") == 2


@pytest.mark.parametrize("changes", [{"crop": 41}, {"crop": 0}, {"val_share": 0}, {"val_share": 1}])
def test_numbers_out_of_range_are_refused(tmp_path: Path, changes: dict) -> None:
    with pytest.raises(ValueError, match="wanted are"):
        module(tmp_path, **changes)


def test_parts_and_boxes_lie_where_the_network_sees_them(tmp_path: Path) -> None:
    folder = write(tmp_path / "cub", classes=1, train=3, test=1)
    name = "001.Bird/Bird_3.jpg"
    pixels = np.zeros((90, 60, 3), np.uint8)
    pixels[39:51, 24:36] = 255  # a square, whose middle is (30, 45)
    Image.fromarray(pixels).save(folder / "images" / name, quality=100, subsampling=0)
    (folder / "bounding_boxes.txt").write_text(
        "".join(f"{n} 24.0 39.0 12.0 12.0\n" for n in range(1, 5))
    )
    (folder / "parts/part_locs.txt").write_text(
        "".join(f"{n} 1 30.0 45.0 1\n{n} 2 30.0 45.0 0\n{n} 3 30.0 2.0 1\n" for n in range(1, 5))
    )
    data = module(tmp_path, batch_size=2)
    places = data.places("test")
    assert places.names == ("back", "beak", "belly")
    assert places.is_seen.tolist() == [[True, False, False]]  # the third was cut off
    U, _ = data.drawn("test", torch.tensor([0]))
    bright = (U[0, 0] > 0.5).nonzero().float().flip(1)  # (x, y)
    middle = 2 * bright.mean(0) / (31 - 1) - 1
    torch.testing.assert_close(places.points[0, 0], middle, atol=0.04, rtol=0)
    low, high = (2 * x / (31 - 1) - 1 for x in (bright.amin(0) - 0.5, bright.amax(0) + 0.5))
    torch.testing.assert_close(places.boxes[0], torch.cat([low, high]), atol=0.06, rtol=0)


@pytest.mark.parametrize("turn", range(1, 9))
def test_parts_and_boxes_are_turned_with_their_image(tmp_path: Path, turn: int) -> None:
    folder = write(tmp_path / "cub", classes=1, train=3, test=1)
    pixels = np.zeros((70, 60, 3), np.uint8)
    pixels[20:30, 34:48] = 255
    exif = Image.Exif()
    exif[0x0112] = turn
    path = folder / "images/001.Bird/Bird_3.jpg"
    Image.fromarray(pixels).save(path, quality=100, subsampling=0, exif=exif)
    boxes = folder / "bounding_boxes.txt"
    boxes.write_text(re.sub(r"^4 .*$", "4 34.0 20.0 14.0 10.0", boxes.read_text(), flags=re.M))
    parts = folder / "parts/part_locs.txt"
    parts.write_text(re.sub(r"^4 (\d) .*$", r"4 \1 41.0 25.0 1", parts.read_text(), flags=re.M))
    data = module(tmp_path, batch_size=2)
    places = data.places("test")
    bright = (data.drawn("test", torch.tensor([0]))[0][0, 0] > 0.5).nonzero().float().flip(1)
    low, high = (2 * x / (31 - 1) - 1 for x in (bright.amin(0) - 0.5, bright.amax(0) + 0.5))
    torch.testing.assert_close(places.boxes[0], torch.cat([low, high]), atol=0.1, rtol=0)
    torch.testing.assert_close(places.points[0, 0], (low + high) / 2, atol=0.1, rtol=0)


def test_a_box_that_sticks_out_counts_as_far_as_the_image_goes(tmp_path: Path, capsys) -> None:
    folder = write(tmp_path / "cub")
    (folder / "bounding_boxes.txt").write_text(
        "".join(f"{n} -50 6 1000000 5\n" for n in range(1, 28))
    )
    boxes = module(tmp_path).places("test").boxes
    assert boxes.abs().max() < 4  # of an image thrice as long as broad, the ends
    assert "9 boxes stick out of their images" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            _replace("parts/part_locs.txt", "1 1 10.0 12.0 1", "1 1 9999 -500 1"),
            r"part 1 of image 1 is visible, but outside of its",
        ),
        (_append("parts/part_locs.txt", "inf 1 1.0 1.0 1"), r"locs.txt, line 82: .*inf"),
        (_append("parts/part_locs.txt", "1.9 1 1.0 1.0 1"), r"locs.txt, line 82: .*1\.9"),
        (
            _replace("parts/part_locs.txt", "1 1 10.0 12.0 1", "1 1 10.0 12.0 2"),
            r"locs.txt, line 1",
        ),
        (_append("parts/part_locs.txt", "1 9 1.0 1.0 1"), r"parts are those of parts.txt"),
        (_append("parts/part_locs.txt", "99 1 1.0 1.0 1"), r"locs.txt, line 82"),
        (_replace("parts/part_locs.txt", "1 1 10.0 12.0 1\n", ""), r"image 1 has 2 of 3 parts"),
        (_replace("parts/part_locs.txt", "1 1 10.0 12.0 1", "1 1 nan 12.0 1"), r"x and y finite"),
        (_append("parts/part_locs.txt", "1 1 10.0 12.0 1"), r"is there twice"),
        (_append("bounding_boxes.txt", "99 1 1 1 1"), r"bounding_boxes.txt .* do not fit"),
        (lambda folder: (folder / "parts/part_locs.txt").unlink(), r"locs.txt cannot be read"),
    ],
)
def test_what_is_wrong_with_parts_is_named(tmp_path: Path, damage, message: str) -> None:
    damage(write(tmp_path / "cub"))
    data = module(tmp_path)
    with pytest.raises(DataError, match=message):
        list(map(data.places, ("train", "val")))


@pytest.mark.parametrize(
    "box", ["95.0 6.0 5.0 5.0", "-9.0 6.0 8.0 9.0", "5.0 6.0 9.0 -1.0", "5 6 nan 9"]
)
def test_a_box_without_area_in_its_image_is_named(tmp_path: Path, box: str) -> None:
    folder = write(tmp_path / "cub")
    (folder / "bounding_boxes.txt").write_text("".join(f"{n} {box}\n" for n in range(1, 28)))
    with pytest.raises(DataError, match="has no area in its"):
        module(tmp_path).places("test")
