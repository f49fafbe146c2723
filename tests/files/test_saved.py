import hashlib
from pathlib import Path

import pytest
import torch

from stn.files.run_files import WEIGHTS
from stn.files.saved import load, load_weights, save

STATE = {"step": 7, "weight": torch.full((3, 2), 7.0)}


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    save(STATE, tmp_path / "file")
    found = load(tmp_path / "file")
    assert found.keys() == STATE.keys()
    assert torch.equal(found["weight"], STATE["weight"])


def test_one_wrong_bit_is_damage(tmp_path: Path) -> None:
    save(STATE, tmp_path / "file")
    content = bytearray((tmp_path / "file").read_bytes())
    content[content.index(STATE["weight"].numpy().tobytes()) + 5] ^= 1
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=r"file is damaged \(wrong checksum of"):
        load(tmp_path / "file")


def test_weights_are_those_that_a_record_tells_of(tmp_path: Path) -> None:
    save(STATE, tmp_path / WEIGHTS)
    told = hashlib.sha256((tmp_path / WEIGHTS).read_bytes()).hexdigest()
    for sha256 in (told, None):
        assert torch.equal(load_weights(tmp_path, sha256)["weight"], STATE["weight"])
    with pytest.raises(ValueError, match=r"weights\.pt is not what the run ended with"):
        load_weights(tmp_path, "0" * 64)
