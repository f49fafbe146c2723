from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stn.data.digit_struct import read_digit_struct
from stn.files.verified import DataError
from tests.svhn_files import Number, made_up, write_struct

BOX = (3.0, 4.0, 8.0, 15.0, 1.0)


def written(folder: Path, **numbers: list[tuple[float, ...]]) -> Path:
    path = folder / "digitStruct.mat"
    entries = {name.replace("_", "."): Number((60, 31), d) for name, d in numbers.items()}
    write_struct(path, entries)  # type: ignore[arg-type]
    return path


def test_what_was_written_is_read(tmp_path: Path) -> None:
    numbers = made_up(11, seed=0)
    write_struct(tmp_path / "s.mat", numbers)
    entries = read_digit_struct(tmp_path / "s.mat")
    assert [entry.name for entry in entries] == [*numbers]
    for entry in entries:
        table = np.array(numbers[entry.name].digits)
        np.testing.assert_array_equal(entry.boxes, table[:, :4])
        np.testing.assert_array_equal(entry.digits, table[:, 4] % 10)  # 10 is the digit 0


@pytest.mark.parametrize(
    ("digits", "message"),
    [
        ([(3, 4, 0, 15, 1)], "b.png: a box has no area"),
        ([(3, 4, 8, -1, 1)], "b.png: a box has no area"),
        ([BOX, (3, float("nan"), 8, 15, 1)], "b.png: a box or label is not finite"),
        ([(3, 4, float("inf"), 15, 1)], "b.png: a box or label is not finite"),
        ([(3, 4, 8, 15, 0)], "b.png: label 0 is not one of 1 to 10"),
        ([BOX, (3, 4, 8, 15, 11)], "b.png: label 11 is not one of 1 to 10"),
        ([(3, 4, 8, 15, 1.5)], "b.png: label 1.5 is not one of 1 to 10"),
        ([], "b.png: "),
    ],
)
def test_an_entry_that_cannot_be_is_named(tmp_path: Path, digits, message: str) -> None:
    path = written(tmp_path, a_png=[BOX], b_png=digits)
    with pytest.raises(DataError, match=message):
        read_digit_struct(path)


@pytest.mark.parametrize("name", ["../a.png", "x/y.png", "/etc/passwd", ".."])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    write_struct(tmp_path / "s.mat", {name: Number((60, 31), [BOX])})
    with pytest.raises(DataError, match="is not the name of an image"):
        read_digit_struct(tmp_path / "s.mat")


def test_two_entries_of_one_name_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, a_png=[BOX], b_png=[BOX])
    with h5py.File(path, "a") as file:
        file["digitStruct/name"][1, 0] = file["digitStruct/name"][0, 0]
    with pytest.raises(DataError, match=r"two entries are called a\.png"):
        read_digit_struct(path)


@pytest.mark.parametrize("key", ["name", "bbox"])
@pytest.mark.parametrize("target", ["null", "other"])
def test_references_that_point_nowhere_are_refused(tmp_path: Path, key: str, target: str) -> None:
    path = written(tmp_path, a_png=[BOX])
    with h5py.File(path, "a") as file:
        other = file["#refs#"].ref if key == "name" else file["digitStruct/name"].ref
        file[f"digitStruct/{key}"][0, 0] = h5py.Reference() if target == "null" else other
    with pytest.raises(DataError, match="points nowhere, or at the wrong thing"):
        read_digit_struct(path)


def test_a_field_that_is_missing_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, a_png=[BOX])
    with h5py.File(path, "a") as file:
        del file[file["digitStruct/bbox"][0, 0]]["width"]
    with pytest.raises(DataError, match=r"a\.png: "):
        read_digit_struct(path)


@pytest.mark.parametrize("content", [b"", b"not HDF5", b"\x89HDF\r\n\x1a\n" + bytes(600)])
def test_a_file_that_is_no_hdf5_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "digitStruct.mat"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"digitStruct\.mat"):
        read_digit_struct(path)
    with pytest.raises(DataError, match=r"nowhere\.mat"):
        read_digit_struct(tmp_path / "nowhere.mat")


@settings(deadline=None, max_examples=40, derandomize=True)
@given(at=st.floats(0, 1), flips=st.binary(min_size=1, max_size=4))
def test_a_damaged_file_is_read_or_refused_and_nothing_else(tmp_path_factory, at, flips) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    path = written(folder, a_png=[BOX], b_png=[BOX, BOX])
    content = bytearray(path.read_bytes())
    place = int(at * (len(content) - len(flips)))
    content[place : place + len(flips)] = flips
    path.write_bytes(content)
    with suppress(DataError):  # and no other error
        read_digit_struct(path)
