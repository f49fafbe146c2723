"""Fixtures for all tests. No test downloads: `mnist_dir` is a small data set made here."""

import copy
import hashlib
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.hydra import Hydra
from hydra.core.object_type import ObjectType
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from stn.data import mnist_source
from stn.data.distorted import DistortedMnist
from stn.results.identity import cell_id
from stn.running.building import instantiate
from stn.running.cell import run_cell
from stn.running.preparing import Cell
from tests import cub_files
from tests.browser import launched

CONF = Path(__file__).parents[1] / "conf"
OURS = {f"file://{CONF}", str(CONF), "pkg://hydra.conf", "structured://"}  # where Hydra looks
NUM_TRAIN, NUM_TEST = 640, 150


def idx_bytes(values: Tensor) -> bytes:
    """An IDX file of unsigned bytes."""
    header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    return header + values.to(torch.uint8).numpy().tobytes()


def synthetic_digits(num: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images (num, 28, 28) of bars whose length and tilt tell the class 0-9, and the labels."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(num) % 10
    labels = labels[torch.randperm(num, generator=random)]
    images = torch.zeros(num, 28, 28, dtype=torch.uint8)
    for image, label in zip(images, labels.tolist(), strict=True):
        left = int(torch.randint(8, 14, (), generator=random))
        image[6 : 12 + label, left : left + 3] = 255
        image[18:21, 6 : 12 + label] = 128
    return images, labels


@pytest.fixture(scope="session")
def mnist_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a small `mnist/` of the right format and the wrong checksums."""
    data_dir = tmp_path_factory.mktemp("data")
    (data_dir / "mnist").mkdir()
    for prefix, num in (("train", NUM_TRAIN), ("t10k", NUM_TEST)):
        images, labels = synthetic_digits(num, seed=num)
        (data_dir / f"mnist/{prefix}-images-idx3-ubyte").write_bytes(idx_bytes(images))
        (data_dir / f"mnist/{prefix}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    return data_dir


@pytest.fixture(scope="session")
def whole_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a `data/mnist` as large as the real one, and birds: leave both as they are."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "data/mnist").mkdir(parents=True)
    images, labels = synthetic_digits(1500, seed=0)
    for prefix, repeated in (("train", 40), ("t10k", 1)):
        files = {
            "images-idx3": images.repeat(repeated, 1, 1),
            "labels-idx1": labels.repeat(repeated),
        }
        for name, values in files.items():
            (folder / f"data/mnist/{prefix}-{name}-ubyte").write_bytes(idx_bytes(values))
    cub_files.write(folder / "data/cub", train=14)
    return folder


@pytest.fixture
def whole_data(whole_files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with `data/` of `whole_files`, whose MNIST is accepted for the test."""
    accept(whole_files / "data/mnist", monkeypatch)
    return whole_files


def accept(mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the checksums of these files those that count."""
    names = mnist_source.CHECKSUMS
    checksums = {name: hashlib.md5((mnist / name).read_bytes()).hexdigest() for name in names}
    monkeypatch.setattr(mnist_source, "CHECKSUMS", checksums)


@pytest.fixture
def mnist_dir(mnist_files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder whose small `mnist/` is accepted: 640 + 150 images, classes in equal shares.

    The table of checksums is replaced for the test, and STN_DATA_DIR points at the folder. It is
    shared by all tests, so leave it as it is.
    """
    accept(mnist_files / "mnist", monkeypatch)
    monkeypatch.setenv("STN_DATA_DIR", str(mnist_files))
    return mnist_files


@pytest.fixture(scope="session", autouse=True)
def composed_once() -> Iterator[None]:
    """Of `conf/` alone, compose a configuration once: it takes a tenth of a second, a copy 3 ms.

    What the environment gives is not part of it: interpolations are resolved later.
    Each file of `conf/` is read once, whatever is composed: a third of the time.
    """
    original: Callable[..., DictConfig] = Hydra.compose_config
    known: dict[str, DictConfig] = {}
    read: Callable[..., Any] = ConfigRepository.load_config
    files: dict[str, Any] = {}

    def compose_config(self: Hydra, config_name: str, overrides: list[str], **how: Any) -> Any:
        places = {found.path for found in self.config_loader.get_search_path().get_path()}
        key = f"{config_name} {overrides} {how}"
        is_ours = places <= OURS
        if how["with_log_configuration"] or not is_ours:  # of a command, or with others' files
            return original(self, config_name, overrides, **how)
        if key not in known:
            known[key] = original(self, config_name, overrides, **how)
        return copy.deepcopy(known[key])

    def load_config(self: ConfigRepository, config_path: str) -> Any:
        source = self._find_object_source(config_path, ObjectType.CONFIG)
        if source is None or source.full_path() not in OURS:
            return read(self, config_path)
        place = f"{source.full_path()} {config_path}"
        if place not in files:
            files[place] = read(self, config_path)
        return copy.deepcopy(files[place])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hydra, "compose_config", compose_config)
        patch.setattr(ConfigRepository, "load_config", load_config)
        yield


@pytest.fixture(scope="session")
def compose_train() -> Callable[..., DictConfig]:
    """Composes `conf/train.yaml` with overrides, Hydra's own node left out."""

    def compose_with(*overrides: str) -> DictConfig:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose("train", overrides=list(overrides))

    return compose_with


@pytest.fixture(scope="session")
def make_network(compose_train: Callable[..., DictConfig]) -> Callable[..., nn.Module]:
    """Builds the network of a configuration."""
    return lambda *overrides: instantiate(compose_train(*overrides).model.network)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Headless Chromium."""
    with launched() as browser:
        yield browser


@pytest.fixture
def make_cell(
    compose_train: Callable[..., DictConfig], mnist_dir: Path, tmp_path: Path
) -> Callable[..., Cell]:
    """Makes a cell of 20 steps (two and a half epochs) on the small MNIST, without W&B."""

    def make(*overrides: str) -> Cell:
        cfg = compose_train(
            "recipe=smoke",
            "logger=csv",
            "recipe.batch_size=64",
            "recipe.max_steps=20",
            "data.module.num_val=128",
            *overrides,
        )
        if not any(override.startswith("runs_dir=") for override in overrides):
            cfg.runs_dir = f"{tmp_path}/runs"  # after composing, which is then done once
        config: Any = OmegaConf.to_container(cfg, resolve=True)
        return Cell(config, cell_id(config), "python -m stn.train")

    return make


@pytest.fixture(scope="session")
def finished_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the cells that `finished` makes."""
    return tmp_path_factory.mktemp("finished")


@pytest.fixture
def finished(make_cell: Callable[..., Cell], finished_runs: Path) -> Callable[..., Cell]:
    """Makes a cell as `make_cell` does, and runs it once for all tests: leave it as it is."""

    def make(*overrides: str) -> Cell:
        cell = make_cell(*overrides, f"runs_dir={finished_runs}")
        if not (cell.folder / "result.json").exists():
            run_cell(cell)
        return cell

    return make


@pytest.fixture
def distorted_mnist(
    mnist_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> type[DistortedMnist]:
    """`DistortedMnist` of the small MNIST, of whose digits 128 are held out, as in `make_cell`."""
    (tmp_path / "conf/data").mkdir(parents=True)
    for path in (CONF / "data").glob("mnist*.yaml"):
        text = path.read_text().replace("num_val: 5000", "num_val: 128")
        (tmp_path / "conf/data" / path.name).write_text(text)
    monkeypatch.setattr("stn.data.distorted.CONF", tmp_path / "conf")
    return DistortedMnist
