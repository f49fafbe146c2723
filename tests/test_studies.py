"""Every study from its command to its pictures, with seconds of training; minutes for all."""

import sys
from pathlib import Path

import pytest
import yaml

from stn import measure
from stn.results.collect import collect
from tests.smoke_tables import reproduce

STUDIES_AT = Path(__file__).parents[1] / "conf/study"
NAMES = sorted(path.stem for path in STUDIES_AT.glob("*.yaml"))


@pytest.mark.integration
@pytest.mark.parametrize("name", NAMES)
def test_a_smoke_run(name: str, whole_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = ("recipe.batch_size=8", "recipe.max_steps=2")
    records, report = reproduce(name, whole_data, monkeypatch, *chosen, group="study")
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
    measured = [r for r in collect(whole_data / "runs").records if r.run_id in ours]
    assert {*asked} <= {metric for record in measured for metric in record.metrics}
