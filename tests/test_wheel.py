"""What is installed is whole: the wheel's files, and commands in an environment of its own."""

import ast
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import PackageNotFoundError, PathDistribution, distribution
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement

import stn

ROOT = Path(__file__).parents[1]
NAME = "spatial-transformer-networks"
LAYER = """
import stn, torch
from stn.transformers import Affine, ConvLocalisation, SpatialTransformer
layer = SpatialTransformer(ConvLocalisation((1, 28, 30), Affine()), Affine(), 14)
layer(torch.rand(2, 1, 28, 30)).sum().backward()
assert "site-packages" in stn.__file__, stn.__file__
try:
    import hydra
except ImportError:
    print(stn.__version__)
"""
CELL = ("model=st_cnn", "data=mnist_r", "recipe=smoke", "recipe.max_steps=3", "logger=csv")
SMALL = ("recipe.batch_size=64", "data.module._target_=mine.SmallMnist", "packages=[mine]")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return Path(path)


def files(folder: Path) -> set[str]:
    found = {path for path in folder.rglob("*") if path.is_file()}
    return {path.relative_to(folder).as_posix() for path in found if path.suffix != ".pyc"}


def test_the_wheel_has_the_code_and_the_configuration_and_no_more(wheel: Path) -> None:
    wanted = {name for name in files(ROOT / "src") if ".egg-info" not in name}
    wanted |= {f"stn/conf/{name}" for name in files(ROOT / "conf")}
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert found == wanted
    assert {"stn/py.typed", "stn/conf/train.yaml", "stn/conf/table/table1.yaml"} <= found


def test_there_is_one_version(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        lines = archive.read(metadata).decode().splitlines()
    assert f"Version: {stn.__version__}" in lines
    assert f"-{stn.__version__}-" in wheel.name


def needed(wheel: Path, extra: str, into: Path) -> None:
    """Link what the wheel asks for, and what that asks for, out of the tests' environment."""
    waiting = PathDistribution(zipfile.Path(wheel, metadata_folder(wheel))).requires or []
    waiting = [(line, extra) for line in waiting]
    seen: set[tuple[str, str]] = set()
    while waiting:
        line, wanted_by = waiting.pop()
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": wanted_by}):
            continue
        for of_it in ("", *requirement.extras):
            if (requirement.name, of_it) in seen:
                continue
            seen.add((requirement.name, of_it))
            try:
                found = distribution(requirement.name)
            except PackageNotFoundError:  # of another system, such as CUDA's
                continue
            waiting += [(line, of_it) for line in found.requires or []]
            for top in {path.parts[0] for path in found.files or []} - {"..", "__pycache__"}:
                if not (into / top).exists():
                    (into / top).symlink_to(Path(str(found.locate_file(top))))


def metadata_folder(wheel: Path) -> str:
    return "-".join(wheel.name.split("-")[:2]) + ".dist-info/"


@pytest.fixture
def installed(wheel: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The Python of a new environment with the wheel, and what an extra of it asks for."""
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env/bin/python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps"]
    subprocess.run([*pip, "--no-index", str(wheel)], check=True)
    (packages,) = (tmp_path / "env/lib").glob("python*/site-packages")
    needed(wheel, request.param, packages)
    return python


def run(python: Path, *arguments: str, cwd: Path) -> str:
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "STN_"))}
    environment = plain | {"OMP_NUM_THREADS": "1", "HOME": str(cwd)}
    command = [str(python), "-W", "ignore", *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


MODULES = sorted((ROOT / "src/stn").glob("*.py"))
COMMANDS = [path for path in MODULES if "__main__" in path.read_text()]


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
def test_a_command_asks_first_whether_the_extra_is_there(path: Path) -> None:
    body = ast.parse(path.read_bytes()).body
    first = next(node for node in body if isinstance(node, ast.Import | ast.ImportFrom))
    assert ast.unparse(first) == "import stn.extra"


@pytest.mark.integration
@pytest.mark.parametrize("installed", [""], indirect=True)
def test_the_layer_needs_the_wheel_and_torch(installed: Path, tmp_path: Path) -> None:
    assert run(installed, "-c", LAYER, cwd=tmp_path) == f"{stn.__version__}\n"
    for path in COMMANDS:
        command = [str(installed), "-P", "-m", f"stn.{path.stem}"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={})
        (line,) = done.stderr.splitlines()
        assert done.returncode == 1
        assert "pip install 'spatial-transformer-networks[experiments]'" in line


@pytest.mark.integration
@pytest.mark.parametrize("installed", ["experiments"], indirect=True)
def test_the_commands_work_outside_a_checkout(installed: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "tests/small_mnist.py", tmp_path / "mine.py")
    run(installed, "-c", LAYER, cwd=tmp_path)
    run(installed, "-m", "stn.train", *CELL, *SMALL, cwd=tmp_path)
    (folder,) = (tmp_path / "runs").iterdir()
    again = run(installed, "-m", "stn.evaluate", f"run={folder}", "packages=[mine]", cwd=tmp_path)
    assert "test_error_percent" in again
    run(installed, "-m", "stn.report", "table=table1", "recipe=smoke", cwd=tmp_path)
    run(installed, "-m", "stn.pictures", "table=table1", "recipe=smoke", cwd=tmp_path)
    assert "--conf" in run(installed, "-m", "stn.distortions", "--help", cwd=tmp_path)
