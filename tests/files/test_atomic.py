import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from stn.files.atomic import append, remove_parts, write_atomically

WRITE_FOR_EVER = """
import sys
from pathlib import Path
from stn.files.atomic import write_atomically
path, size = Path(sys.argv[1]), 3_000_000
while True:
    for letter in (b"a", b"b"):
        write_atomically(path, size * letter)
"""


def test_a_file_is_written_and_replaced(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, b"old and long")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert [*tmp_path.iterdir()] == [path]


def test_a_failed_write_names_the_file_and_leaves_what_was_there(tmp_path, monkeypatch):
    def disk_full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "file"
    write_atomically(path, b"old")
    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(OSError, match=rf"No space.*same command goes on.*{path}"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [path]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    for write in (lambda path: write_atomically(path, b"x"), lambda path: append(path, "x")):
        with pytest.raises(FileNotFoundError, match="nowhere/file"):
            write(tmp_path / "nowhere/file")


def test_a_kill_in_the_midst_of_writing_leaves_a_whole_file(tmp_path):
    path = tmp_path / "file"
    for pause_s in (0.0, 0.003, 0.007, 0.011):
        writer = subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, str(path)])
        while not path.exists():
            assert writer.poll() is None
            time.sleep(0.01)
        time.sleep(pause_s)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        assert path.read_bytes() in (3_000_000 * b"a", 3_000_000 * b"b")
        path.unlink()
    remove_parts(tmp_path)
    assert not [*tmp_path.iterdir()]


def test_lines_end_as_they_were_given(tmp_path):
    append(tmp_path / "log", "one\n")
    append(tmp_path / "log", "two\r\n")
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\r\n"


def test_other_files_are_no_parts(tmp_path):
    for name in ("result.json", ".lock", "a.part", ".result.json.7.part"):
        (tmp_path / name).touch()
    remove_parts(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"result.json", ".lock", "a.part"}
