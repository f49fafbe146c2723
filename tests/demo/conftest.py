"""A real Chromium, and the demo in a folder that is served, with few networks, made-up digits."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from pathlib import Path

import pytest

from stn.data import mnist_source
from tests.browser import chromium_path, in_node_path

WEIGHTS = Path(__file__).parents[2] / "weights"
SHOWN = {  # a CNN and an ST-CNN of each column, by its label in the page
    "rotated (R)": ("cnn-mnist_r-", "st_cnn-projective-mnist_r-"),
    "rotated, translated, scaled (RTS)": ("cnn-mnist_rts-", "st_cnn-tps-mnist_rts-"),
    "projected (P)": ("cnn-mnist_p-", "st_cnn-affine-mnist_p-"),
    "elastic (E)": ("cnn-mnist_e-", "st_cnn-tps-mnist_e-"),
    "translated, cluttered (TC)": ("cnn-mnist_tc-", "st_cnn-affine-mnist_tc-"),
    "undistorted (MNIST)": ("cnn-mnist-", "st_cnn-affine-mnist-"),
}


class Quiet(SimpleHTTPRequestHandler):
    """A server that does not tell each request."""

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="session")
def demo_folder(mnist_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo with some of the published networks; its runtime is found by NODE_PATH."""
    chromium_path()
    for module in ("onnx", "onnxscript"):
        pytest.importorskip(module, reason=f"{module} is not installed")
    from stn.demo.build import build

    runtime = in_node_path("onnxruntime-web/dist")
    folder, runs = tmp_path_factory.mktemp("demo"), tmp_path_factory.mktemp("runs")
    (folder / "runtime").symlink_to(runtime)
    for name in chain(*SHOWN.values()):
        (published,) = WEIGHTS.glob(f"{name}quick-s0-*")
        (runs / published.name).symlink_to(published)
    names = list(mnist_source.CHECKSUMS)
    sums = {n: hashlib.md5((mnist_files / "mnist" / n).read_bytes()).hexdigest() for n in names}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mnist_source, "CHECKSUMS", sums)
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
