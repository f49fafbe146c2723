"""A real Chromium, and the demo in a folder that is served, with few networks, made-up digits."""

import hashlib
import os
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from stn.data import mnist_source

WEIGHTS = Path(__file__).parents[2] / "weights"
SHOWN = ("cnn-mnist_p-", "st_cnn-affine-mnist_p-", "cnn-mnist_e-", "st_cnn-tps-mnist_e-")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)


class Quiet(SimpleHTTPRequestHandler):
    """A server that does not tell each request."""

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Headless Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: on Debian, apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture(scope="session")
def demo_folder(
    chromium: object, mnist_files: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The demo with some of the published networks; its runtime is found by NODE_PATH."""
    for module in ("onnx", "onnxscript"):
        pytest.importorskip(module, reason=f"{module} is not installed")
    from stn.demo.build import build

    runtime = in_node_path("onnxruntime-web/dist")
    folder, runs = tmp_path_factory.mktemp("demo"), tmp_path_factory.mktemp("runs")
    (folder / "runtime").symlink_to(runtime)
    for name in SHOWN:
        (published,) = WEIGHTS.glob(f"{name}quick-s0-*")
        (runs / published.name).symlink_to(published)
    names = list(mnist_source.CHECKSUMS)
    sums = {n: hashlib.md5((mnist_files / "mnist" / n).read_bytes()).hexdigest() for n in names}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mnist_source, "CHECKSUMS", sums)
        build(runs, "quick", 0, mnist_files, folder)
    return folder


def in_node_path(name: str) -> Path:
    """A file of an npm package, in the folders that NODE_PATH names; skips where it is not."""
    places = filter(None, os.environ.get("NODE_PATH", "").split(os.pathsep))
    found = [path for place in places if (path := Path(place).absolute() / name).exists()]
    if not found:
        pytest.skip(f"{name} is not in NODE_PATH: CONTRIBUTING.md says how to get it")
    return found[0]


def served(folder: Path) -> Iterator[str]:
    """Serve a folder; yields its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def address(demo_folder: Path) -> Iterator[str]:
    """Where the demo is served."""
    yield from served(demo_folder)
