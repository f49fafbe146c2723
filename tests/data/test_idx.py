import math
import struct

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stn.data.idx import parse_idx
from stn.files.verified import DataError


def idx(shape: tuple[int, ...], payload: bytes) -> bytes:
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + payload


shapes = st.lists(st.integers(1, 7), min_size=1, max_size=4).map(tuple)


@given(shape=shapes, data=st.data())
def test_what_is_written_is_read(shape, data):
    size = math.prod(shape)
    payload = data.draw(st.binary(min_size=size, max_size=size))
    array = parse_idx(idx(shape, payload), len(shape), "file")
    assert array.dtype == torch.uint8
    assert array.shape == shape
    assert bytes(array.flatten().tolist()) == payload


@given(content=st.binary(max_size=64), num_dims=st.integers(1, 4))
def test_noise_is_refused_by_name(content, num_dims):
    with pytest.raises(DataError, match="the-file"):
        parse_idx(content, num_dims, "the-file")


@given(
    shape=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4).map(tuple),
    payload=st.binary(max_size=64),
)
def test_a_header_that_lies_is_refused(shape, payload):
    if math.prod(shape) == len(payload) > 0:
        return
    with pytest.raises(DataError, match="holds"):
        parse_idx(idx(shape, payload), len(shape), "file")


@given(shape=shapes, cut=st.integers(1, 500), extra=st.binary(min_size=1, max_size=9))
def test_too_short_and_too_long_are_refused(shape, cut, extra):
    content = idx(shape, bytes(math.prod(shape)))
    for wrong in (content[: -min(cut, len(content))], content + extra):
        with pytest.raises(DataError):
            parse_idx(wrong, len(shape), "file")


@given(shape=shapes, place=st.integers(0, 3), value=st.integers(0, 255))
def test_a_wrong_magic_number_is_refused(shape, place, value):
    content = bytearray(idx(shape, bytes(math.prod(shape))))
    if content[place] == value:
        return
    content[place] = value
    with pytest.raises(DataError, match="magic number"):
        parse_idx(bytes(content), len(shape), "file")


def test_images_are_not_labels():
    with pytest.raises(DataError, match="expected 0x00000801"):
        parse_idx(idx((2, 2, 2), bytes(8)), 1, "file")


def test_a_data_error_is_a_value_error():
    assert issubclass(DataError, ValueError)
