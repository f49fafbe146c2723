"""The static folder of the demo: page, digits, runtime, and networks of finished runs as ONNX."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from PIL import Image

from stn.configuration import CONF
from stn.data.mnist_source import load_mnist
from stn.demo.export import onnx_model
from stn.files.atomic import write_atomically
from stn.files.npm import files_of_npm
from stn.files.regular import leads_somewhere
from stn.files.run_files import RESULT
from stn.results.records import read_record
from stn.running.restoring import restore

PAGE = Path(__file__).with_name("page")
RUNTIME = "onnxruntime-web@1.30.0"
RUNTIME_SHA512 = (
    "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
)
RUNTIME_FILES = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
)
# The distortions that the page can do by hand: geometry.js restates them.
BY_HAND = (
    *("Rotate", "RotateTranslateScale", "ProjectiveDistortion", "ElasticDistortion"),
    *("Clutter", "Undistorted"),
)
MODELS = ("cnn", "st_cnn")
PER_CLASS = 2  # test digits on offer


def build(runs: Path, recipe: str, seed: int, data_dir: Path, out: Path) -> list[dict[str, Any]]:
    """Write the static folder.

    Args:
        runs: the folder of the runs.
        recipe: of the runs that are taken.
        seed: of the runs that are taken.
        data_dir: with `mnist/`, which is fetched if it is not there.
        out: the folder to write; what else is in it stays.

    Returns:
        The columns of Table 1 that the page has.

    Raises:
        DataError: MNIST or the runtime cannot be had.
        OSError: a file cannot be written or read.
        ValueError: there are no such runs, or one is damaged.
    """
    leads_somewhere(out).mkdir(parents=True, exist_ok=True)
    table = OmegaConf.load(CONF / "table/table1.yaml")
    found = finished(runs, recipe, seed)
    columns = []
    for column in table.columns:
        places = {
            row.label: (column.overrides.data, row.overrides.model, row.overrides.get("transform"))
            for row in table.rows
        }
        networks = {name: found[place] for name, place in places.items() if place in found}
        if len(networks) > 1:
            print(f"exporting {', '.join(networks)} of {column.key}", flush=True)
        if len(networks) > 1 and (described := exported(networks, out)):
            columns.append({"label": f"{column.label} ({column.key})", **described})
    if not columns:
        raise ValueError(
            f"{runs} has no finished runs of a CNN and an ST-CNN (recipe {recipe}, seed {seed}) of"
            f" Table 1. This makes them: make reproduce-table1 RECIPE={recipe}; and this takes"
            " them: python -m stn.demo --runs runs"
        )
    write_atomically(out / "networks.json", json.dumps(columns, indent=1).encode())
    write_digits(data_dir, out / "digits.png")
    write_runtime(out / "runtime")
    for path in PAGE.iterdir():  # last: where there is a page, there is all that it needs
        write_atomically(out / path.name, path.read_bytes())
    return columns


def finished(runs: Path, recipe: str, seed: int) -> dict[tuple[str, str, str | None], Path]:
    """Return the folders of the finished runs of CNNs and ST-CNNs, by data, model and transform."""
    folders = {}
    for path in sorted(runs.glob(f"*/{RESULT}")):
        record = read_record(path)
        of_kind = record.model in MODELS and (record.recipe, record.seed) == (recipe, seed)
        if of_kind and record.status == "finished":
            folders[record.data, record.model, record.transform] = path.parent
    return folders


def exported(runs: Mapping[str, Path], out: Path) -> dict[str, Any] | None:
    """Write the networks of a column, by name and the CNN first, and describe them for the page.

    None if there is no CNN, or if the page cannot do the column's distortion.
    """
    networks: list[dict[str, Any]] = []
    for name, run in runs.items():
        cell, task = restore(run, fast=False)
        data, transform = cell.config["data"], cell.config["model"]["transform"]
        side, width = data["image_size"]
        distortion = dict(data["module"]["distortion"])
        kind = distortion.pop("_target_").rpartition(".")[2]
        if kind not in BY_HAND or side != width or (transform and not networks):
            return None
        file = onnx_model(task.network, (1, side, side)).SerializeToString()
        write_atomically(out / f"{run.name}.onnx", file)
        error = read_record(run / RESULT).metrics["test_error_percent"]
        label = name.removeprefix("ST-CNN ")
        networks.append(
            {"name": name, "label": label, "errorPercent": error, "file": f"{run.name}.onnx"}
        )
    return {"side": side, "kind": kind, "distortion": distortion, "networks": networks}


def write_digits(data_dir: Path, path: Path) -> None:
    """Write test digits side by side: the first of each class from 0 to 9, then the second ones."""
    mnist = load_mnist(data_dir)
    of_class = [mnist.test_images[mnist.test_labels == label, 0] for label in range(10)]
    digits = [images[i] for i in range(PER_CLASS) for images in of_class]
    Image.fromarray(torch.cat(digits, dim=1).numpy()).save(path)


def write_runtime(folder: Path) -> None:
    """Bring onnxruntime-web from npm, once, and verify it.

    Raises:
        DataError: it cannot be had, or is another than was tested; says why.
    """
    if all((folder / name).exists() for name in RUNTIME_FILES):
        return
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        names = [f"package/dist/{name}" for name in RUNTIME_FILES]
        contents = files_of_npm(RUNTIME, names, Path(temporary), RUNTIME_SHA512)
    for name, content in zip(RUNTIME_FILES, contents, strict=True):
        write_atomically(folder / name, content)
