"""Every study from its command to its pictures, with seconds of training; minutes for all."""

import hashlib
import sys
from pathlib import Path

import pytest
import yaml

from stn import measure
from stn.data import mnist_source
from stn.results.collect import collect
from tests import cub_files
from tests.conftest import idx_bytes, synthetic_digits
from tests.smoke_tables import reproduce

STUDIES_AT = Path(__file__).parents[1] / "conf/study"
NAMES = sorted(path.stem for path in STUDIES_AT.glob("*.yaml"))


@pytest.fixture(scope="session")
def all_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a `data/mnist` as large as the real one, whose digits repeat themselves.

    And with birds.
    """
    folder = tmp_path_factory.mktemp("studies")
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


@pytest.mark.integration
@pytest.mark.parametrize("name", NAMES)
def test_a_smoke_run(name: str, all_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checksums = {
        file: hashlib.md5((all_data / "data/mnist" / file).read_bytes()).hexdigest()
        for file in mnist_source.CHECKSUMS
    }
    monkeypatch.setattr(mnist_source, "CHECKSUMS", checksums)
    chosen = ("recipe.batch_size=8", "recipe.max_steps=2")
    records, report = reproduce(name, all_data, monkeypatch, *chosen, group="study")
    assert report.index("**Question.**") < report.index("**Verdict.**")
    asked = yaml.safe_load((STUDIES_AT / f"{name}.yaml").read_text()).get("measures", {})
    quoted = ",".join(f"'{override}'" for override in chosen)
    few = [
        f"study.measures.{key}.build.num_images=20"
        for key, measure in asked.items()
        if "num_images" in measure.get("build", {})
    ]
    argv = ["stn.measure", f"study={name}", "recipe=smoke", "study.seeds=1", "study.only=null"]
    monkeypatch.setattr(sys, "argv", [*argv, f"overrides=[{quoted}]", *few])
    measure.main()
    ours = {record.run_id for record in records}
    measured = [r for r in collect(all_data / "runs").records if r.run_id in ours]
    assert {*asked} <= {metric for record in measured for metric in record.metrics}
