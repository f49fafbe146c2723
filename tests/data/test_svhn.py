import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from PIL import Image

from stn.data.digit_struct import Entry
from stn.data.svhn import Crop, SvhnDataModule
from stn.files.verified import DataError
from stn.running.preparing import Cell, build_data
from tests.data.test_contract import check_contract
from tests.svhn_files import Number, made_up, write


@pytest.fixture(scope="module")
def svhn_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with 60 + 20 + 15 numbers of one to five digits, and one of six."""
    data_dir = tmp_path_factory.mktemp("svhn")
    write(data_dir / "svhn/train", made_up(61, seed=0, longest=6))
    write(data_dir / "svhn/extra", made_up(20, seed=1))
    write(data_dir / "svhn/test", made_up(15, seed=2))
    return data_dir


def module(data_dir: Path, **changes: object) -> SvhnDataModule:
    arguments = {
        **{"folders": ["train", "extra"], "size": 32, "crop": 27, "enlarge": 0.3},
        **{"padding": "edge", "num_val": 5000, "batch_size": 8, "seed": 0, "data_seed": 0},
    }
    return SvhnDataModule(**(arguments | changes), data_dir=data_dir)  # type: ignore[arg-type]


def test_it_keeps_the_contract(svhn_dir: Path, compose_train: Callable[..., Any]) -> None:
    of_cell = ("recipe=smoke", "model=svhn_cnn", "data=svhn", f"data_dir={svhn_dir}")
    config: Any = OmegaConf.to_container(compose_train(*of_cell), resolve=True)
    check_contract(Cell(config, "svhn", "python -m stn.train"))


def test_the_splits_and_what_is_left_out(svhn_dir: Path, capsys) -> None:
    data = module(svhn_dir)
    data.setup()
    sizes = {name: len(split.targets) for name, split in data._splits.items()}
    assert sizes == {"train": 49 + 20, "val": 2, "test": 15}  # ten of 61 have six digits
    assert "train: 10 of the images that are listed have over 5 digits" in capsys.readouterr().err
    targets = data._splits["test"].targets
    numbers = [*made_up(15, seed=2).values()]
    for row, number in zip(targets.tolist(), numbers, strict=True):
        digits = [int(digit[4]) % 10 for digit in number.digits]
        assert row == digits + [10] * (5 - len(digits))


def test_a_part_of_the_official_files_is_enough(tmp_path: Path, capsys) -> None:
    write(tmp_path / "svhn/train", made_up(60, seed=0))
    write(tmp_path / "svhn/test", made_up(15, seed=2))
    for number in range(1, 21):
        (tmp_path / f"svhn/train/{number}.png").unlink()
    data = module(tmp_path)
    data.setup()
    assert len(data._splits["train"].targets) + len(data._splits["val"].targets) == 40
    assert "train: 20 of the images that are listed are not there" in capsys.readouterr().err


def test_what_was_cut_is_kept_and_cut_again_when_a_file_changes(tmp_path: Path) -> None:
    write(tmp_path / "svhn/train", made_up(30, seed=0))
    write(tmp_path / "svhn/test", made_up(15, seed=2))
    first = module(tmp_path).data_sha256()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}
    assert module(tmp_path).data_sha256() == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()} == kept
    Image.new("RGB", (70, 31), "red").save(tmp_path / "svhn/train/3.png")
    assert module(tmp_path).data_sha256() != first


def test_training_crops_move_and_others_do_not(svhn_dir: Path) -> None:
    data = module(svhn_dir)
    data.setup()
    pool = data._splits["train"].pool
    random = data.draw("train", pool, torch.arange(40), 5)
    assert torch.equal(random, data.draw("train", pool, torch.arange(40), 5))
    assert not torch.equal(random, data.draw("train", pool, torch.arange(40), 6))
    assert random.mean((1, 2, 3)).abs().max() < 1e-6
    for number in (0, 17):  # each is one of the 36 windows of its image
        windows = pool[number].float().div(255).unfold(1, 27, 1).unfold(2, 27, 1)
        windows = windows.permute(1, 2, 0, 3, 4).flatten(0, 1)  # (36, 3, 27, 27)
        away = windows - windows.mean((1, 2, 3), keepdim=True) - random[number]
        assert away.abs().amax((1, 2, 3)).min() < 1e-5
    centre = data.draw("test", pool, torch.arange(1), 5)
    wanted = pool[:1, :, 2:29, 2:29].float() / 255
    torch.testing.assert_close(centre, wanted - wanted.mean())


@pytest.mark.parametrize("padding", ["black", "edge", "mean"])
def test_what_is_seen_beyond_the_border(padding: str) -> None:
    pixels = np.full((20, 30, 3), 200, dtype=np.uint8)
    pixels[:, :15] = 100
    entry = Entry("a.png", np.array([[0.0, 0, 30, 20]]), np.array([1]))
    cut = Crop(90, 1.0, padding).of(Image.fromarray(pixels), entry)
    beyond = {"black": (0, 0), "edge": (100, 200), "mean": (150, 150)}[padding]
    assert (int(cut[45, 2, 0]), int(cut[45, 87, 0])) == beyond
    assert (int(cut[45, 30, 0]), int(cut[45, 60, 0])) == (100, 200)


def test_the_box_is_where_it_is_said_to_be(tmp_path: Path) -> None:
    """Boxes darker than the wall, of one height a test image, shown as test images are."""
    write(tmp_path / "svhn/train", made_up(60, seed=0))
    inside = {
        f"{i}.png": Number((90, 70), [(30.0, 20.0, 20.0, 16.0 * 2**i, 1.0)]) for i in range(2)
    }
    write(tmp_path / "svhn/test", inside)
    data = module(tmp_path, size=128, crop=101, enlarge=1.0)
    places = data.places("test")
    assert places.sizes is not None
    assert places.sizes.tolist() == [4, 5]
    is_digit = data.drawn("test", torch.arange(2))[0][:, 2] < 0
    for dark, (left, top, right, bottom) in zip(is_digit, places.boxes.tolist(), strict=True):
        steps = [dark[50].sum().item() - 1, dark[:, 50].sum().item() - 1]  # pixels to pixels
        assert steps == pytest.approx([50 * (right - left), 50 * (bottom - top)], abs=1.5)
    held_out = data.places("val").sizes
    assert held_out is not None
    assert len(held_out) == len(data._splits["val"].targets)


boxes = st.tuples(st.floats(-20, 60), st.floats(-20, 40), st.floats(0.5, 40), st.floats(0.5, 40))


@given(
    found=st.lists(boxes, min_size=1, max_size=5),
    enlarge=st.floats(0, 3),
    padding=st.sampled_from(["black", "edge", "mean"]),
)
def test_the_cut_contains_all_boxes_and_is_inside_of_the_padded_image(
    found, enlarge, padding
) -> None:
    entry = Entry("a.png", np.array(found), np.ones(len(found), dtype=np.int64))
    crop = Crop(16, enlarge, padding)
    left, top, right, bottom = crop.region(entry)
    for x, y, width, height in found:
        assert max(left - x, top - y, x + width - right, y + height - bottom) <= 1e-9
    assert crop.of(Image.new("RGB", (50, 30)), entry).shape == (16, 16, 3)


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n cut off", "JPEG", None])
def test_an_image_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | str | None) -> None:
    write(tmp_path / "svhn/train", made_up(30, seed=0))
    write(tmp_path / "svhn/test", made_up(15, seed=2))
    path = tmp_path / "svhn/train/7.png"
    if content == "JPEG":
        Image.open(path).save(path, format="JPEG")
    elif not isinstance(content, bytes):  # half of a good file
        path.write_bytes(path.read_bytes()[:-30])
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"7\.png is (no PNG|damaged)"):
        module(tmp_path).setup()
    assert not [*tmp_path.glob("cache/*train*.json")]


@pytest.mark.parametrize("size", [(6000, 6000)])
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, size) -> None:
    write(tmp_path / "svhn/train", made_up(30, seed=0))
    write(tmp_path / "svhn/test", made_up(15, seed=2))
    Image.new("1", size).save(tmp_path / "svhn/train/7.png")
    with pytest.raises(DataError, match=r"7\.png is damaged: 6000 x 6000 pixels"):
        module(tmp_path).setup()


def test_a_box_outside_of_its_image_is_named(tmp_path: Path) -> None:
    numbers = made_up(30, seed=0) | {"7.png": Number((40, 31), [(90.0, 4.0, 8.0, 15.0, 1.0)])}
    write(tmp_path / "svhn/train", numbers)
    write(tmp_path / "svhn/test", made_up(15, seed=2))
    with pytest.raises(DataError, match=r"7\.png is damaged: a box lies outside of its 40 x 31"):
        module(tmp_path).setup()


def test_no_data_are_answered_with_where_they_come_from(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"wanted are train/ and test/ with digitStruct\.mat"):
        module(tmp_path).setup()


@pytest.mark.parametrize(
    "changes", [{"crop": 33}, {"crop": 0}, {"enlarge": -0.1}, {"num_val": 0}, {"padding": "sky"}]
)
def test_what_cannot_be_is_refused(tmp_path: Path, changes) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        module(tmp_path, **changes)


@pytest.mark.parametrize("name", ["svhn", "svhn128"])
def test_each_configuration_makes_what_it_states(name: str, compose_train, svhn_dir: Path) -> None:
    cfg = compose_train(
        "model=svhn_cnn",
        f"data={name}",
        "recipe=smoke",
        f"data_dir={svhn_dir}",
        "recipe.batch_size=8",
    )
    cell = Cell(OmegaConf.to_container(cfg, resolve=True), "svhn", "")  # type: ignore[arg-type]
    U, digits = build_data(cell).panel_batch(2)
    assert U.shape == (2, 3, *cfg.data.image_size)
    assert digits.shape == (2, 5)


def test_archives_beside_the_folders_are_unpacked(svhn_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "svhn").mkdir()
    for name in ("train", "extra", "test"):
        with tarfile.open(tmp_path / f"svhn/{name}.tar.gz", "w:gz") as archive:
            archive.add(svhn_dir / "svhn" / name, name)
    data, same = module(tmp_path), module(svhn_dir)
    data.prepare_data()
    assert data.data_sha256() == same.data_sha256()
