"""The IDX format of the MNIST files: magic number, big-endian sizes, bytes in row-major order."""

import math
import struct

import torch
from torch import Tensor

from stn.files.verified import DataError


def parse_idx(content: bytes, num_dims: int, name: str) -> Tensor:
    """The array in an IDX file of unsigned bytes: uint8, of the shape that the file states.

    Args:
        content: the whole (unpacked) file.
        num_dims: how many dimensions it must have: 3 for images, 1 for labels.
        name: how errors call the file.

    Raises:
        DataError: The magic number, the sizes or the length are wrong.
    """
    magic = bytes((0, 0, 0x08, num_dims))  # 0x08: unsigned bytes
    start = len(magic) + 4 * num_dims
    if content[:4] != magic:
        raise DataError(
            f"{name} is no IDX file of unsigned bytes in {num_dims} dimensions: "
            f"its magic number is 0x{content[:4].hex()}, expected 0x{magic.hex()}"
        )
    if len(content) < start:
        raise DataError(f"{name} ends within its header: {len(content)} of {start} bytes")
    shape = struct.unpack_from(f">{num_dims}I", content, len(magic))
    if not (len(content) - start == math.prod(shape) > 0):
        raise DataError(
            f"{name} states the shape {shape}, which takes {math.prod(shape)} bytes, "
            f"and holds {len(content) - start}"
        )
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)[start:].reshape(shape)
