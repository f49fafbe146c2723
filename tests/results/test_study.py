"""Studies: every one of them is complete, plans its runs, and is rendered with its question."""

import copy
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir

from stn.results import wording
from stn.results.comparison import Comparison, compare
from stn.results.render import to_markdown, write_reports
from stn.results.study import Study, overview
from stn.results.study_figures import draw_study
from stn.results.table import PlannedRun, parse_table
from stn.running.building import instantiate
from stn.sweeping.planning import planned_runs
from tests.results.conftest import synthetic_record

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (ROOT / "conf/study").glob("*.yaml"))
TOTAL_CORE_HOURS = 14.5  # measured; kernels of learnt width cost 3 of them
every_study = pytest.mark.parametrize("name", NAMES)


def content(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / f"conf/study/{name}.yaml").read_text())


def runs_of(
    study: Study, recipe: str = "quick", num_seeds: int = 1, *more: str
) -> list[PlannedRun]:
    chosen = [f"recipe={recipe}", *more]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return planned_runs(study, chosen, lambda o: compose("train", [*o]), range(num_seeds))


SMALL = content("priors")
SMALL |= {"rows": SMALL["rows"][:3], "columns": SMALL["columns"][:1]}


@every_study
def test_every_row_and_every_column_of_every_study_makes_a_network(name: str) -> None:
    """Not every cell: to compose one takes a fifth of a second."""
    study = parse_table(name, content(name), Study)
    ids = set()
    for i in range(max(len(study.rows), len(study.columns))):
        row, column = (parts[i % len(parts)] for parts in (study.rows, study.columns))
        alone = row.model_copy(update={"baseline": None})
        (run,) = runs_of(study.model_copy(update={"rows": (alone,), "columns": (column,)}))
        network, device = run.config["model"]["network"], "meta"
        if "backbone" in network:  # is tried out as it is built; no weights are fetched by a test
            network["backbone"]["pretrained"], device = False, "cpu"
        with torch.device(device):
            instantiate(network)
        instantiate(run.config["data"]["module"], batch_size=2, seed=0, data_dir=".")
        ids.add(run.run_id)
    assert len(ids) == i + 1
    assert all(row.baseline for row in study.rows[1:]), "a row is compared with nothing"


def test_all_studies_together_keep_the_budget() -> None:
    assert sum(content(name)["core_hours"] for name in NAMES) <= TOTAL_CORE_HOURS


@pytest.mark.parametrize("key", ["question", "said", "source", "prediction", "core_hours"])
def test_a_study_without_its_thoughts_is_none(key: str) -> None:
    without = {k: value for k, value in SMALL.items() if k != key}
    with pytest.raises(ValueError, match=rf"^study/priors\.yaml: {key}: is missing"):
        parse_table("priors", without, Study)


def test_a_verdict_says_how_sure_it_is() -> None:
    for missing in ("confidence", "found"):
        with pytest.raises(ValueError, match="verdict, confidence and found"):
            parse_table("priors", SMALL | {missing: None}, Study)


@pytest.mark.parametrize("verdict", ["Yes. No.", "Is it? Yes.", "x" * 161])
def test_a_verdict_is_a_sentence(verdict: str) -> None:
    with pytest.raises(ValueError, match="verdict: "):
        parse_table("priors", SMALL | {"verdict": verdict}, Study)


def test_a_budget_of_a_recipe_is_that_of_every_cell_and_of_no_other_recipe() -> None:
    short = SMALL | {"recipes": {"quick": {"recipe.max_steps": 123}}}
    study = parse_table("priors", short, Study)
    quick, smoke = runs_of(study), runs_of(study, "smoke")
    assert {run.config["recipe"]["max_steps"] for run in quick} == {123}
    assert {run.config["recipe"]["max_steps"] for run in smoke} == {8}
    assert {run.config["recipe"]["scheduler"]["lr_lambda"]["total_steps"] for run in quick} == {123}
    with pytest.raises(ValueError, match=r"recipe\.max_steps: a table sets"):
        runs_of(study, "quick", 1, "recipe.max_steps=5")


def test_what_a_recipe_and_a_row_both_set_is_refused() -> None:
    twice = copy.deepcopy(SMALL) | {"recipes": {"quick": {"recipe.max_steps": 123}}}
    twice["rows"][0]["overrides"]["recipe.max_steps"] = 5
    with pytest.raises(ValueError, match=r"recipes\.quick overrides recipe\.max_steps, too"):
        parse_table("priors", twice, Study)


def filled(num_rows: int, **changes: Any) -> Comparison:
    """A study whose first rows have three seeds each in the first column."""
    study = parse_table("priors", SMALL | changes, Study)
    runs = runs_of(study, num_seeds=3)
    error = {(study.rows[i].key, study.columns[0].key): 2.0 - 0.5 * i for i in range(num_rows)}
    records = [
        synthetic_record(error[run.row, run.column] + 0.01 * run.seed, run_id=run.run_id)
        for run in runs
        if (run.row, run.column) in error
    ]
    return compare(study, "quick", runs, records)


def test_a_page_has_question_prediction_and_verdict_around_its_table(tmp_path: Path) -> None:
    comparison = filled(2, verdict="It *does*.", confidence="high", found="By _much_.")
    page = to_markdown(comparison)
    places = [
        page.index(text)
        for text in ("**Question.**", "**Prediction**", "**Verdict.** It", "| affine |", "](study_")
    ]
    assert places == sorted(places)
    assert r"It \*does\*. Confidence: high" in page
    paths = write_reports(comparison, tmp_path)
    assert [path.name for path in paths] == [f"study_priors.{e}" for e in ("md", "csv", "tex")]


def test_another_recipe_leaves_the_page_alone() -> None:
    study = parse_table("priors", SMALL, Study)
    assert study.file_name("quick") == "study_priors"
    assert study.file_name("smoke") == "study_priors_smoke"


def test_the_figure_has_a_panel_a_column_with_runs_and_a_dot_a_seed() -> None:
    figure = draw_study(filled(2))
    assert figure is not None
    (axes,) = figure.axes
    drawn = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 3]
    assert [[*map(float, xs)] for xs in drawn] == [[2.0, 2.01, 2.02], [1.5, 1.51, 1.52]]
    assert draw_study(filled(0)) is None


def test_outcomes_are_counted_the_worst_first() -> None:
    limits = {"collapsed": 80, "bad": 1.5}
    comparison = filled(2, outcomes=limits)
    assert [comparison.table.outcome(value) for value in (90, 2, 1.5)] == ["collapsed", "bad", None]
    first, second, empty = comparison.cells[:3]
    assert wording.outcomes(first, comparison.table) == "bad 3 of 3"
    assert wording.outcomes(second, comparison.table) == "bad 2 of 3"  # 1.5, 1.51, 1.52
    assert wording.outcomes(empty, comparison.table) == "–"
    assert "| bad 3 of 3 |" in to_markdown(comparison)


def test_the_overview_says_what_the_studies_say() -> None:
    path = ROOT / "results/studies.py"
    assert runpy.run_path(str(path))["document"]() == (ROOT / "docs/studies.md").read_text(), (
        "write it again: python results/studies.py"
    )


def test_studies_with_a_verdict_come_first_in_the_overview_with_a_link_to_their_page() -> None:
    open_one = parse_table(
        "a", SMALL | {"title": "A"} | dict.fromkeys(["verdict", "confidence", "found"]), Study
    )
    judged = SMALL | {"title": "B", "verdict": "It does.", "confidence": "low"}
    lines = overview([open_one, parse_table("b", judged, Study)], ["study_b"]).splitlines()[-2:]
    assert lines[0].startswith("| [B](../results/study_b/quick/study_b.md)")
    assert "It does. *Confidence: low.*" in lines[0]
    assert lines[1].startswith("| A<br>")
    assert "*none yet*" in lines[1]


def test_a_page_shows_what_was_measured_inside_and_a_dash_where_nothing_was() -> None:
    asked = {"test_x": {"label": "bend", "unit": "px", "digits": 1, "build": {"_target_": "a.B"}}}
    comparison = filled(2, measures=asked)
    told = [
        record.model_copy(update={"metrics": record.metrics | {"test_x": 1.0 + i}})
        for i, record in enumerate(comparison.cell("affine", "R").records)
    ]
    cells = [c if c.row.key != "affine" else replace(c, records=(*told,)) for c in comparison.cells]
    page = to_markdown(replace(comparison, cells=(*cells,)))
    table = page.partition("## Inside the networks")[2].partition("##")[0]
    assert "| bend, px | R |" in table
    assert "| affine | 2.0 ± 1.0 |" in table
    assert "| none (FCN) | – |" in table
    assert "## Inside the networks" not in to_markdown(filled(2))


@pytest.mark.parametrize("name", [name for name in NAMES if "measures" in content(name)])
def test_what_a_study_measures_can_be_built(name: str) -> None:
    study = parse_table(name, content(name), Study)
    for measure in study.measures.values():
        if measure.build is None:
            continue
        built = instantiate(measure.build)
        assert built.reference in (None, *(row.key for row in study.rows))
