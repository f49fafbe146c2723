"""Two small cells of a table, trained once for all tests of the page, and the page of them."""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from stn.data import mnist_source
from stn.page import main
from stn.results.identity import cell_id
from stn.running.cell import run_cell
from stn.running.preparing import Cell
from tests.conftest import CONF

SHORT = ("recipe.batch_size=64", "recipe.max_steps=20", "data.module.num_val=128")
DIGITS: dict[str, Any] = {
    "title": "Digits <i>at an angle</i>",
    "caption": "Test error in percent",
    "seeds": 1,
    "only": None,
    "metric": {
        **{"name": "test_error_percent", "label": "test error", "unit": "%"},
        **{"digits": 2, "paper_digits": 1, "better": "lower"},
    },
    "columns": [
        {"key": "R", "label": "rotated", "overrides": {"data": "mnist_r"}},
        {"key": "P", "label": "projected", "overrides": {"data": "mnist_p"}},
    ],
    "rows": [
        {"key": "cnn", "label": "CNN", "overrides": {"model": "cnn"}},
        {
            **{"key": "st", "label": "ST-CNN projective", "group": "ST-CNN", "baseline": "cnn"},
            **{"overrides": {"model": "st_cnn", "transform": "affine"}},
        },
    ],
    "paper": {"source": "nobody", "numbers": {"R": {"cnn": 1.2, "st": 0.7}, "P": {"cnn": 99.5}}},
}
HOSTILE = """'"><img src=x onerror=hacked={0}><script>hacked={0}</script>"""
Write = Callable[..., Path]


@pytest.fixture(scope="session")
def trained(mnist_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `runs` of both networks on R, and the table `digits`; leave it as it is."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "mine/table").mkdir(parents=True)
    (folder / "mine/table/digits.yaml").write_text(yaml.safe_dump(DIGITS))
    of_ours = {key: DIGITS[key] for key in DIGITS if key != "paper"} | {"title": "Ours"}
    (folder / "mine/table/ours.yaml").write_text(yaml.safe_dump(of_ours))
    with accepted(mnist_files):
        for model in ("cnn", "st_cnn"):
            chosen = ("recipe=smoke", "logger=csv", "data=mnist_r", "transform=affine", *SHORT)
            with initialize_config_dir(str(CONF), version_base="1.3"):
                cfg = compose("train", [*chosen, f"model={model}", f"runs_dir={folder}/runs"])
                config: Any = OmegaConf.to_container(cfg, resolve=True)
            run_cell(Cell(config, cell_id(config), "python -m stn.train"))
    return folder


@pytest.fixture
def runs(trained: Path, tmp_path: Path) -> Path:
    """A copy of the runs, to be spoilt."""
    return Path(shutil.copytree(trained / "runs", tmp_path / "runs"))


@pytest.fixture(scope="session")
def page(trained: Path, mnist_files: Path) -> Path:
    """The page of the runs as they are."""
    with accepted(mnist_files):
        return written(trained, trained / "page/index.html", trained / "runs")


@pytest.fixture
def write(trained: Path, mnist_dir: Path, tmp_path: Path) -> Write:
    """Write the page of the runs in some folders, without images; return its path."""
    out = tmp_path / "reports/index.html"
    return lambda *sources, **chosen: written(trained, out, *sources, images="false", **chosen)


def written(trained: Path, out: Path, *sources: Path, **chosen: str) -> Path:
    """Call the command for the table `digits`."""
    settings = {"tables": "[digits]", "out": str(out), "overrides": str([*SHORT])} | chosen
    settings["sources"] = f"[{','.join(map(str, sources))}]"
    overrides = [f"{key}={value}" for key, value in settings.items()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["page", f"--config-dir={trained}/mine", *overrides])
        main()
    return out


@contextmanager
def accepted(mnist_files: Path) -> Iterator[None]:
    """Make the checksums of the small MNIST count, as `mnist_dir` does for one test."""
    names = list(mnist_source.CHECKSUMS)
    sums = {n: hashlib.md5((mnist_files / "mnist" / n).read_bytes()).hexdigest() for n in names}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mnist_source, "CHECKSUMS", sums)
        patch.setenv("STN_DATA_DIR", str(mnist_files))
        yield


def spoil(folder: Path) -> None:
    """Put script wherever the files of runs may have text of anybody's."""
    for i, path in enumerate(sorted(folder.glob("*/result.json"))):
        content = json.loads(path.read_text())
        for j, field in enumerate(("device", "command", "message")):
            content[field] = HOSTILE.format(f"{i}{j}")
        content["config"] = {HOSTILE.format(3): [HOSTILE.format(4), "</pre></script>"]}
        content["versions"] = {HOSTILE.format(5): HOSTILE.format(6)}
        path.write_text(json.dumps(content))
        with (path.parent / "metrics.csv").open("a") as metrics:
            metrics.write(f"20,{HOSTILE.format(7)},1.5\n20,theta/{HOSTILE.format(8)},0.5\n")
    (folder / HOSTILE.format(9).replace("/", "")).mkdir()
    (folder / HOSTILE.format(9).replace("/", "") / "result.json").write_text("<b>")
