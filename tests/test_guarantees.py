"""Each promise names tests, and each of these tests is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/guarantees.md").read_text()
ROW = re.compile(r"^\| (?!promise|\*\*|-)(?P<promise>.+?) \| (?P<tests>.+) \|$", re.MULTILINE)


def test_every_promise_is_held_by_tests_that_are_there() -> None:
    rows = ROW.findall(PAGE)
    assert len(rows) > 15
    for promise, tests in rows:
        named = re.findall(r"`([^`]+)`", tests)
        assert named, promise
        file = ""
        for name in named:  # a name that begins with :: is of the file before
            own, _, function = name.partition("::")
            file = own or file
            path = ROOT / "tests" / file
            assert path.is_file(), name
            assert f"def {function}(" in path.read_text(), name


def test_the_page_is_one_screen() -> None:
    assert len(PAGE.splitlines()) <= 60
