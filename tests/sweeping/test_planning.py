from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from stn.results.identity import cell_id
from stn.results.table import PlannedRun, Table, parse_table
from stn.sweeping.planning import planned_runs, written
from tests.results.conftest import BIRDS, STUDY

ROOT = Path(__file__).parents[2]
TABLE1: Any = OmegaConf.to_container(OmegaConf.load(ROOT / "conf/table/table1.yaml"))
PART = parse_table("part", TABLE1 | {"only": ["R"], "rows": TABLE1["rows"][:2], "paper": None})


def runs_of(table: Table, *overrides: str, seeds: list[int] | None = None) -> list[PlannedRun]:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return planned_runs(table, overrides, lambda chosen: compose("train", [*chosen]), seeds)


@pytest.fixture(scope="module")
def runs() -> list[PlannedRun]:
    return runs_of(parse_table("table1", TABLE1), "recipe=smoke", seeds=[3, 0])


def test_every_cell_once_per_seed(runs: list[PlannedRun]) -> None:
    assert len({run.run_id for run in runs}) == len(runs) == 2 * 48
    assert set(Counter((run.row, run.column, run.seed) for run in runs).values()) == {1}


def test_cells_are_called_what_training_calls_them(runs: list[PlannedRun]) -> None:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        for run in runs[::7]:
            config: Any = OmegaConf.to_container(compose("train", [*run.overrides]), resolve=True)
            assert run.config == config
            assert run.run_id == cell_id(config)
            assert run.config["seed"] == run.seed


def test_the_first_seed_first_and_the_cheapest_of_it(runs: list[PlannedRun]) -> None:
    order = [(run.seed, run.cost) for run in runs]
    assert order == sorted(order)
    first = {(run.row, run.column) for run in runs[:4]}
    assert first == {("fcn", column) for column in ("R", "P", "E", "MNIST")}


def test_rows_with_the_papers_number_only_are_not_run() -> None:
    found = runs_of(parse_table("birds", BIRDS))
    assert [run.row for run in found] == ["cnn", "st"]
    assert found[1].overrides == ("data=mnist_r", "model=st_cnn", "transform=translation", "seed=0")


def test_a_cell_that_nobody_asks_for_is_not_composed() -> None:
    table = parse_table("table1", TABLE1)
    composed: list[list[str]] = []

    def note(overrides: Sequence[str]) -> DictConfig:
        composed.append(list(overrides))
        return compose("train", [*overrides])

    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        runs = planned_runs(
            table, ["recipe=smoke"], note, [0], lambda chosen: chosen["model"] == "cnn"
        )
    assert {run.row for run in runs} == {"cnn"}
    assert len(composed) == len(runs) == len(table.columns)


def test_a_study_shares_its_runs_with_the_table() -> None:
    table1 = {run.run_id for run in runs_of(PART)}
    plain, slow, *_ = runs_of(parse_table("study", STUDY))
    assert plain.run_id in table1
    assert slow.run_id not in table1
    assert slow.config["recipe"]["optimizer"]["lr"] == 1e-4


def test_further_overrides_make_other_runs_unless_they_say_what_is_so(
    runs: list[PlannedRun],
) -> None:
    ids = {run.run_id for run in runs}
    same = runs_of(PART, "recipe=smoke", "recipe.max_steps=8", "logger=csv")
    assert {run.run_id for run in same} < ids
    others = runs_of(PART, "recipe=smoke", "recipe.max_steps=9")
    assert not {run.run_id for run in others} & ids


def test_what_nothing_reads_is_refused_though_there_be_no_seed() -> None:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        for override, says in (("+foo=1", "foo"), ("+recipe.foo=1", "foo"), ("+data.foo=1", "foo")):
            with pytest.raises(ValueError, match=says):
                planned_runs(PART, [override], lambda chosen: compose("train", [*chosen]), seeds=[])


@pytest.mark.parametrize("override", ["seed=1", "data=mnist", "recipe.optimizer.lr=1", "+model=a"])
def test_what_the_table_sets_cannot_be_set(override: str) -> None:
    with pytest.raises(ValueError, match=r"a table sets model, recipe\.optimizer\.lr, data, seed"):
        runs_of(parse_table("study", STUDY), override)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.from_regex(r"(?!(nan|inf|null|true|false)\Z)[a-z_]+", fullmatch=True),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@given(values)
def test_values_are_written_as_hydra_reads_them(value: Any) -> None:
    assert read(f"key={written(value)}") == value


def read(override: str) -> Any:
    return OmegaConf.to_container(
        OmegaConf.create({"v": OverridesParser.create().parse_override(override).value()}),
        resolve=False,
    )["v"]  # type: ignore[index, call-overload]
