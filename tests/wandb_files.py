"""Reads what W&B writes offline: a header, then records in the log format of LevelDB."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

HEADER_BYTES, BLOCK_BYTES, FRAME_BYTES = 7, 32768, 7
WHOLE, LAST = 1, 4


def records(path: Path) -> Iterator[Any]:
    """Yield the records of a `.wandb` file; each lies in one or more frames of one block."""
    content = path.read_bytes()
    assert content.startswith(b":W&B")
    at, parts = HEADER_BYTES, b""
    while at + FRAME_BYTES <= len(content):
        if (left := BLOCK_BYTES - at % BLOCK_BYTES) < FRAME_BYTES:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", content[at : at + FRAME_BYTES])
        parts += content[at + FRAME_BYTES : at + FRAME_BYTES + length]
        at += FRAME_BYTES + length
        if kind in (WHOLE, LAST):
            record = Record()
            record.ParseFromString(parts)
            yield record
            parts = b""


def history(path: Path) -> list[dict[str, str]]:
    """Return the rows of a `.wandb` file: what was logged, as JSON, by name."""
    rows = [r.history.item for r in records(path) if r.WhichOneof("record_type") == "history"]
    return [
        {"/".join(item.nested_key) or item.key: item.value_json for item in row} for row in rows
    ]
