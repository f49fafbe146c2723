"""Every group, with tiny batches and one round: what it reports, never how fast."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks import (
    birds,
    cells,
    configured,
    distortions,
    house_numbers,
    layers,
    loop,
    networks,
    roofline,
    steps,
)
from benchmarks.__main__ import GROUPS, main
from benchmarks.report import Section, found
from benchmarks.targets import TARGETS


def assert_measured(section: Section) -> None:
    """All numbers are positive, and the targets of this group find theirs."""
    measurements = found([section])
    assert measurements
    assert all(value.low > 0 for value in measurements.values())
    assert {t.place for t in TARGETS if t.place[0] == section.key} <= measurements.keys()


GROUPS_HERE: dict[str, Callable[[], Section]] = {
    "networks": lambda: networks.measure(1, batch_size=2),
    "layers": lambda: layers.measure(1, batch_size=2),
    "distortions": lambda: distortions.measure(1, batch_size=4),
    "house_numbers": lambda: house_numbers.measure(1, batch_size=2, width=0.05),
    "birds": lambda: birds.measure(1, batch_size=2),
    "roofline": lambda: roofline.measure(1, batch_size=2, matrix_side=16),
}


@pytest.mark.parametrize("group", list(GROUPS_HERE))
def test_a_group_measures_what_it_promises(group: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.distortions.NUM_PER_IMAGE", 2)
    section = GROUPS_HERE[group]()
    assert section.key == group
    assert_measured(section)


def test_every_row_of_table_1_is_compared_with_its_baseline() -> None:
    section = steps.measure(1, batch_size=2)
    assert_measured(section)
    measurements, columns = found([section]), {"ms", "/ same classifier", "/ row"}
    for data in steps.DATA:
        for key, row in configured.rows().items():
            measured = {c for _, name, c in measurements if name == f"{key}/{data}"}
            assert measured == (columns if "baseline" in row else {"ms"})


def test_a_loop_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "NUM_STEPS", {"fcn": 8, "cnn": 7})
    assert_measured(loop.measure(1, batch_size=4))


def test_both_loops_end_with_the_same_weights() -> None:
    ends, lightning = loop.lightning("fcn", 7, batch_size=8)
    bare_ends, bare = loop.bare("fcn", 7, batch_size=8)
    assert len(ends) == len(bare_ends) == 7
    first = loop.bare("fcn", 1, batch_size=8)[1]  # or nothing would have to be learnt
    assert not torch.allclose(next(first.parameters()), next(bare.parameters()), atol=1e-5)
    for mine, theirs in zip(lightning.parameters(), bare.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-6)


def test_a_training_step_changes_the_weights() -> None:
    described = configured.cell("model=fcn")
    network = configured.network(described)
    before = [p.detach().clone() for p in network.parameters()]
    steps.training_step(network, described, configured.images(described, 4))()
    assert all(not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_direct_arithmetic_of_the_layers() -> None:
    layer = roofline.cnn_layers("mnist_rts", batch_size=2)["conv 7x7"]
    filters = layer.conv.out_channels
    # 17 px in, 11 px of convolution, of which pooling keeps 10; forward and two gradients.
    assert layer.x.shape[-2:] == (17, 17)
    assert layer.operations == 3 * 2 * 2 * filters * filters * 49 * 10 * 10


def outcomes(commands: list[list[str]]) -> list[cells.Outcome]:
    slow = 1.25 if len(commands) == 2 else 1.0
    wandb = 2.0 if "logger=wandb" in commands[0] else 0.0
    return [cells.Outcome(3.0, 10 * slow + wandb, 50 * slow, 800.0) for _ in commands]


def test_cells_report_speed_up_memory_and_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "run_at_once", outcomes)
    section = cells.measure(2)
    assert_measured(section)
    measurements = found([section])
    assert measurements["cells", "side_by_side", "ratio"].median == pytest.approx(1.6)
    assert measurements["cells", "side_by_side_steps", "ratio"].median == pytest.approx(1.6)
    assert measurements["cells", "wandb", "s in all"].median == pytest.approx(2)


def test_a_cell_that_fails_is_shown() -> None:
    with pytest.raises(RuntimeError, match="no_such_key"):
        cells.run_at_once([["no_such_key=1"]])


@pytest.mark.integration
def test_two_real_cells_at_once() -> None:
    cell = ["model=fcn", "recipe=smoke", "logger=csv", *cells.DIGITS]
    two = cells.run_at_once([cell] * 2)
    assert len(two) == 2
    assert all(0 < one.first_step_s < one.wall_s for one in two)


def test_the_command_writes_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = lambda rounds: roofline.measure(rounds, batch_size=2, matrix_side=16)  # noqa: E731
    monkeypatch.setattr("benchmarks.distortions.measure", small)
    main(["--only", "distortions", "--rounds", "2", "--out", str(tmp_path / "new")])
    page = (tmp_path / "new/bench.md").read_text()
    assert page.startswith("# Benchmark")
    assert "## Convolutions" in page


def test_an_unknown_group_is_refused() -> None:
    with pytest.raises(SystemExit, match="unknown groups: everything; there are cells, steps"):
        main(["--only", "everything"])


def test_groups_of_targets_exist() -> None:
    assert {target.place[0] for target in TARGETS} <= GROUPS.keys()
