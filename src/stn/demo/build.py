"""The static folder of the demo: page, digits, runtime, and networks of finished runs as ONNX."""

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from PIL import Image

from stn.configuration import CONF
from stn.data.mnist_source import load_mnist
from stn.demo.export import onnx_model
from stn.files.atomic import write_atomically
from stn.results.records import RESULT, read_record
from stn.running.finished import restore

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
BY_HAND = ("Rotate", "RotateTranslateScale", "ProjectiveDistortion", "ElasticDistortion")
MODELS = ("cnn", "st_cnn")
PER_CLASS = 2  # test digits on offer
TIMEOUT_S = 600


class DemoError(ValueError):
    """The demo cannot be built; says what is missing, and what to do."""


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
        DemoError: there are no such runs, or the runtime cannot be had.
        DataError: MNIST is not there and cannot be fetched.
        OSError: a file cannot be written or read.
        ValueError: a run is damaged.
    """
    out.mkdir(parents=True, exist_ok=True)
    columns = [
        found
        for column in OmegaConf.load(CONF / "table/table1.yaml").columns
        if (
            found := exported(
                column.label, finished(runs, column.overrides.data, recipe, seed), out
            )
        )
    ]
    if not columns:
        raise DemoError(
            f"{runs} has no finished runs of a CNN and an ST-CNN (recipe {recipe}, seed {seed}) on"
            " R, RTS, P or E. This makes them: make reproduce-table1 COLUMNS=R,RTS,P,E"
            f" RECIPE={recipe}; and this takes them: python -m stn.demo --runs runs"
        )
    write_atomically(out / "networks.json", json.dumps(columns, indent=1).encode())
    write_digits(data_dir, out / "digits.png")
    for path in PAGE.iterdir():
        write_atomically(out / path.name, path.read_bytes())
    write_runtime(out / "runtime")
    return columns


def finished(runs: Path, data: str, recipe: str, seed: int) -> list[Path]:
    """Return the folders of the finished runs of a CNN, and of ST-CNNs, on a data set."""
    folders = {}
    for path in sorted(runs.glob(f"*/{RESULT}")):
        record = read_record(path)
        wanted = record.status == "finished" and record.model in MODELS
        if wanted and (record.data, record.recipe, record.seed) == (data, recipe, seed):
            folders[MODELS.index(record.model), record.transform or ""] = path.parent
    return [folder for _, folder in sorted(folders.items())]


def exported(label: str, runs: Sequence[Path], out: Path) -> dict[str, Any] | None:
    """Write the networks of a column of Table 1, and describe them; None if it is not complete."""
    networks = []
    for run in runs:
        cell, task = restore(run, fast=False)
        data, model = cell.config["data"], cell.config["model"]
        side, width = data["image_size"]
        distortion = dict(data["module"]["distortion"])
        kind = distortion.pop("_target_").rpartition(".")[2]
        if kind not in BY_HAND or side != width:
            return None
        file = onnx_model(task.network, (1, side, side)).SerializeToString()
        write_atomically(out / f"{run.name}.onnx", file)
        networks.append(
            {
                "label": " ".join(filter(None, [model["label"], model["transform"]])),
                "transform": model["transform"],
                "file": f"{run.name}.onnx",
                "errorPercent": read_record(run / RESULT).metrics["test_error_percent"],
            }
        )
    if [network["transform"] is None for network in networks][:2] != [True, False]:
        return None
    described = {"key": data["label"], "label": label, "side": side}
    return described | {"kind": kind, "distortion": distortion, "networks": networks}


def write_digits(data_dir: Path, path: Path) -> None:
    """Write the first test digits of each class as one picture, class by class in a row."""
    mnist = load_mnist(data_dir)
    rows = [
        torch.cat([*mnist.test_images[mnist.test_labels == label][:PER_CLASS, 0]], dim=1)
        for label in range(10)
    ]
    Image.fromarray(torch.cat(rows, dim=1).numpy()).save(path)


def write_runtime(folder: Path) -> None:
    """Bring onnxruntime-web from npm, once, and verify it.

    Raises:
        DemoError: it cannot be had; says why.
    """
    if all((folder / name).exists() for name in RUNTIME_FILES):
        return
    npm = shutil.which("npm")
    if npm is None:
        raise DemoError(f"npm is needed, once, for the package {RUNTIME}: install npm")
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        command = [npm, "pack", RUNTIME, "--ignore-scripts", "--silent"]
        done = subprocess.run(
            command, cwd=temporary, capture_output=True, text=True, timeout=TIMEOUT_S
        )
        packages = [*Path(temporary).glob("*.tgz")]
        if done.returncode or len(packages) != 1:
            raise DemoError(f"npm has no {RUNTIME}: {(done.stderr or done.stdout).strip()[-500:]}")
        digest = hashlib.sha512(packages[0].read_bytes()).digest()
        if base64.b64encode(digest).decode() != RUNTIME_SHA512:
            raise DemoError(f"npm gave another {RUNTIME} than the one that was tested")
        with tarfile.open(packages[0]) as archive:
            for name in RUNTIME_FILES:
                member = archive.extractfile(f"package/dist/{name}")
                assert member is not None
                write_atomically(folder / name, member.read())
