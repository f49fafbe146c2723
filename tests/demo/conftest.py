"""A real Chromium, and the demo in a folder that is served, with few networks, made-up digits."""

import hashlib
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
    chromium: object, mnist_files: Path, tmp_path_factory: pytest.TempPathFactory, request: Any
) -> Path:
    """The demo with some of the published networks; the runtime is fetched once a checkout."""
    for module in ("onnx", "onnxscript"):
        pytest.importorskip(module, reason=f"{module} is not installed")
    if shutil.which("npm") is None:
        pytest.skip("npm, which brings the runtime, is not installed")
    from stn.demo.build import build, write_runtime

    folder, runs = tmp_path_factory.mktemp("demo"), tmp_path_factory.mktemp("runs")
    for name in SHOWN:
        (published,) = WEIGHTS.glob(f"{name}quick-s0-*")
        (runs / published.name).symlink_to(published)
    kept = Path(request.config.cache.mkdir("onnxruntime-web"))
    write_runtime(kept)
    (folder / "runtime").symlink_to(kept)
    checksums = {
        name: hashlib.md5((mnist_files / "mnist" / name).read_bytes()).hexdigest()
        for name in mnist_source.CHECKSUMS
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mnist_source, "CHECKSUMS", checksums)
        build(runs, "quick", 0, mnist_files, folder)
    return folder


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
