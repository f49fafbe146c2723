"""What tests of pages need: Chromium, npm packages.

Where it is not there they are skipped, or fail if the environment has STN_NEEDS_BROWSER, as in CI.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest


def lacking(what: str) -> NoReturn:
    """Skip a test, or let it fail, for want of something."""
    (pytest.fail if os.environ.get("STN_NEEDS_BROWSER") else pytest.skip)(what)


def chromium_path() -> str:
    """Where Chromium is."""
    found = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if found is None:
        lacking("there is no Chromium: on Debian, apt-get install chromium")
    return found


@contextmanager
def launched() -> Iterator[Any]:
    """Run a headless Chromium. One at a time: playwright has an event loop run meanwhile."""
    try:
        from playwright import sync_api
    except ImportError:
        lacking("playwright is not installed")
    path = chromium_path()
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])


def in_node_path(name: str) -> Path:
    """Find a file of an npm package in the folders that NODE_PATH names."""
    places = filter(None, os.environ.get("NODE_PATH", "").split(os.pathsep))
    found = [path for place in places if (path := Path(place).absolute() / name).exists()]
    if not found:
        lacking(f"{name} is not in NODE_PATH: CONTRIBUTING.md says how to get it")
    return found[0]
