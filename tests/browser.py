"""What tests of pages need, where it is there, else they are skipped: Chromium, npm packages."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


def chromium_path() -> str:
    """Where Chromium is."""
    found = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if found is None:
        pytest.skip("there is no Chromium: on Debian, apt-get install chromium")
    return found


@contextmanager
def launched() -> Iterator[Any]:
    """Run a headless Chromium. One at a time: playwright has an event loop run meanwhile."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = chromium_path()
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])


def in_node_path(name: str) -> Path:
    """Find a file of an npm package in the folders that NODE_PATH names."""
    places = filter(None, os.environ.get("NODE_PATH", "").split(os.pathsep))
    found = [path for place in places if (path := Path(place).absolute() / name).exists()]
    if not found:
        pytest.skip(f"{name} is not in NODE_PATH: CONTRIBUTING.md says how to get it")
    return found[0]
