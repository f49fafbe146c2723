"""The static folder of the demo: what it takes, what it refuses, and what it says then."""

import io
import shutil
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx", reason="onnx is not installed")

from stn.demo import build as building
from stn.demo.__main__ import main
from stn.demo.build import build, finished, write_digits, write_runtime
from stn.files.npm import _sha512
from stn.files.verified import DataError
from tests.conftest import synthetic_digits
from tests.demo.conftest import WEIGHTS

NPM = """#!{python}
import pathlib, shutil
shutil.copy({package!r}, pathlib.Path.cwd() / "onnxruntime-web-1.30.0.tgz")
"""


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An npm that packs a small runtime; returns the package."""
    package = tmp_path / "package.tgz"
    with tarfile.open(package, "w:gz") as archive:
        for name in building.RUNTIME_FILES:
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    command = tmp_path / "bin" / "npm"
    command.parent.mkdir()
    command.write_text(NPM.format(python=sys.executable, package=str(package)))
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(command.parent))
    return package


def test_another_runtime_than_the_tested_one_is_refused(npm: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="another one than was tested"):
        write_runtime(tmp_path / "runtime")
    assert not any((tmp_path / "runtime").iterdir())


def test_the_runtime_is_fetched_once(
    npm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "RUNTIME_SHA512", _sha512(npm.read_bytes()))
    write_runtime(tmp_path / "runtime")
    found = {path.name: path.read_text() for path in (tmp_path / "runtime").iterdir()}
    assert found == {name: name for name in building.RUNTIME_FILES}
    monkeypatch.setenv("PATH", "")
    write_runtime(tmp_path / "runtime")  # is there already
    with pytest.raises(DataError, match="there is no npm command"):
        write_runtime(tmp_path / "elsewhere")


@pytest.mark.parametrize("kept", [[], ["cnn-mnist_p-*"], ["st_cnn-*"]], ids=str)
def test_without_weights_the_command_says_which_one_makes_them(
    kept: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "runs").mkdir()
    for published in [path for pattern in kept for path in WEIGHTS.glob(pattern)]:
        (tmp_path / "runs" / published.name).symlink_to(published)
    places = ["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "demo")]
    monkeypatch.setattr(sys, "argv", ["demo", *places])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    assert "make reproduce-table1 RECIPE=quick" in capsys.readouterr().err


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    (published,) = WEIGHTS.glob("cnn-mnist_p-*")
    (other,) = WEIGHTS.glob("st_cnn-affine-mnist_p-*")
    for run in (published, other):
        shutil.copytree(run, tmp_path / "runs" / run.name)
    weights = tmp_path / "runs" / published.name / "weights.pt"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ValueError, match=rf"{published.name}/weights\.pt is damaged"):
        build(tmp_path / "runs", "quick", 0, tmp_path, tmp_path / "demo")


def test_a_folder_that_is_a_link_to_where_nothing_is_is_named(tmp_path: Path) -> None:
    (tmp_path / "demo").symlink_to(tmp_path / "gone")
    with pytest.raises(ValueError, match=r"demo is a link to .*gone, where nothing is"):
        build(WEIGHTS, "quick", 0, tmp_path, tmp_path / "demo")


def test_runs_of_the_recipe_and_the_seed_are_taken() -> None:
    found = finished(WEIGHTS, "quick", 0)
    assert {model for _, model, _ in found} == {"cnn", "st_cnn"}
    assert all(folder.name.startswith(model) for (_, model, _), folder in found.items())
    assert finished(WEIGHTS, "paper", 0) == finished(WEIGHTS, "quick", 1) == {}


def test_digits_are_the_first_of_each_class(mnist_dir: Path, tmp_path: Path) -> None:
    image: Any = pytest.importorskip("PIL.Image")
    write_digits(mnist_dir, tmp_path / "digits.png")
    with image.open(tmp_path / "digits.png") as found:
        assert found.size == (20 * 28, 28)
        sheet = found.tobytes()
    images, labels = synthetic_digits(150, seed=150)  # the fixture's test set
    for i in range(20):
        wanted = images[labels == i % 10][i // 10]
        strip = b"".join(sheet[560 * y + 28 * i : 560 * y + 28 * i + 28] for y in range(28))
        assert strip == wanted.numpy().tobytes()
