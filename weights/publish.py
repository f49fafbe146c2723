"""Publishes networks of finished runs: records, and weights that are small enough to be published.

    python weights/publish.py runs/cnn-mnist_r-quick-s0-c6e2adf4e7 ...

Each becomes a folder here that loads as any run does, `stn.load("weights/<run_id>")`, with what the
page of all runs shows of it: the metrics that were logged, and of the pictures those that its
gallery takes, in few colours. Weights are rounded to half precision where the network's test error
stays what the record says, exactly; where an image changes its class, they are kept as they are.
"""

import argparse
import hashlib
import shutil
import sys
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from stn.callbacks.panels import TOLD
from stn.configuration import folder
from stn.files.run_files import CONFIG, METRICS, PANELS, RESULT, WEIGHTS
from stn.pages.pictures import frames
from stn.results.records import read_record, write_record
from stn.running.checkpoints import load, save
from stn.running.restoring import evaluate

HERE = Path(__file__).parent
COLOURS = 64  # of a picture
FOLDERS = {"data_dir": "data", "runs_dir": "runs", "reports_dir": "reports"}  # nobody's machine


def main() -> None:
    """Write a folder for each run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--data-dir", type=Path, default=folder("STN_DATA_DIR", "data"))
    given = parser.parse_args()
    for run in given.runs:
        record = read_record(run / RESULT)
        config = {**record.config, **FOLDERS}
        out = HERE / record.run_id
        out.mkdir(exist_ok=True)
        if (run / METRICS).is_file():
            shutil.copyfile(run / METRICS, out / METRICS)
        if (out / PANELS).exists():
            shutil.rmtree(out / PANELS)
        for panel in frames(run / PANELS):
            (out / PANELS).mkdir(exist_ok=True)
            write_small(panel, out / PANELS / panel.name)
        OmegaConf.save(OmegaConf.create(config), out / CONFIG)
        weights: dict[str, Any] = load(run / WEIGHTS)
        half = {name: value.half() for name, value in weights.items()}
        for kept in (half, weights):
            save(kept, out / WEIGHTS)
            sha256 = hashlib.sha256((out / WEIGHTS).read_bytes()).hexdigest()
            told = record.model_copy(update={"config": config, "weights_sha256": sha256})
            write_record(out / RESULT, told)
            measured = evaluate(out, given.data_dir).values()
            if all(now == recorded for now, recorded in measured):
                break
        else:
            sys.exit(f"{run} no longer gives the error that its record tells")
        print(f"{out.name}: {(out / WEIGHTS).stat().st_size / 1e6:.2f} MB")


def write_small(panel: Path, out: Path) -> None:
    """Write a picture of training in few colours, a third as large, with what it tells."""
    told = PngInfo()
    with Image.open(panel) as picture:
        told.add_text(TOLD, picture.text[TOLD], zip=True)  # type: ignore[attr-defined]
        picture.convert("RGB").quantize(COLOURS).save(out, pnginfo=told, optimize=True)


if __name__ == "__main__":
    main()
