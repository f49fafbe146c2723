import gzip
import hashlib

import pytest

from stn.files import verified
from stn.files.verified import DataError, read_verified

CONTENT = bytes(range(256)) * 40
MD5 = hashlib.md5(CONTENT).hexdigest()


def test_plain_and_packed_content_are_read(tmp_path):
    (tmp_path / "plain").write_bytes(CONTENT)
    (tmp_path / "packed.gz").write_bytes(gzip.compress(CONTENT))
    assert read_verified(tmp_path / "plain", MD5) == CONTENT
    assert read_verified(tmp_path / "packed.gz", MD5) == CONTENT


def flipped(data: bytes) -> bytes:
    return data[:500] + bytes([data[500] ^ 1]) + data[501:]


PACKED = gzip.compress(CONTENT * 9, compresslevel=0)


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("plain", flipped(CONTENT)),
        ("plain", CONTENT[:-1]),
        ("plain", b""),
        ("packed.gz", gzip.compress(flipped(CONTENT))),
        ("packed.gz", gzip.compress(CONTENT)[:-20]),
        ("packed.gz", flipped(PACKED)),
        ("packed.gz", CONTENT),
        ("packed.gz", b""),
        ("packed.gz", gzip.compress(CONTENT)[:10] + b"\xff" * 100),
    ],
)
def test_damage_is_named_with_both_checksums_and_left_alone(tmp_path, name, stored):
    path = tmp_path / name
    path.write_bytes(stored)
    with pytest.raises(DataError) as caught:
        read_verified(path, MD5)
    message = str(caught.value)
    assert str(path) in message
    assert f"expected md5 {MD5}" in message
    assert "found" in message
    assert message.count("md5") == 2
    assert path.read_bytes() == stored


def test_what_unpacks_without_end_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(verified, "MAX_BYTES", 1000)
    path = tmp_path / "packed.gz"
    path.write_bytes(gzip.compress(bytes(1000)))
    assert read_verified(path, hashlib.md5(bytes(1000)).hexdigest()) == bytes(1000)
    path.write_bytes(gzip.compress(bytes(1001)))
    with pytest.raises(DataError, match=r"packed\.gz.*does not unpack \(more than 1,000 bytes\)"):
        read_verified(path, hashlib.md5(bytes(1001)).hexdigest())
