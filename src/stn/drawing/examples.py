"""Digits that a network without a transformer gets wrong and those with one get right.

The right half of Table 1, from finished runs: `rivals` finds runs to compare, `examine` their
digits, `choose` the ones to show.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from stn.data.mnist import NUM_CLASSES
from stn.drawing.sheets import ExampleRow, alignment_sheet, class_means, example_sheet
from stn.drawing.warps import first_transformer, warp
from stn.results.comparison import Comparison
from stn.results.records import Record
from stn.results.table import Column, Row
from stn.running.finished import restore

NUM_ALIGNED = 1000
BATCH_SIZE = 500

Entry = tuple[Row, Record]


@dataclass(frozen=True)
class Rivals:
    """Finished runs of one seed on one data set: of a baseline, and of what shall beat it."""

    column: Column
    baseline: Entry
    others: tuple[Entry, ...]


@dataclass(frozen=True)
class Networks:
    """The networks of rivals, with their test set: images U (N, 1, H, W) and labels (N,)."""

    baseline: nn.Module
    others: tuple[nn.Module, ...]
    U: Tensor
    labels: Tensor


def find_rivals(comparison: Comparison, column: Column, baseline: str) -> Rivals | None:
    """Return the runs of the first seed that most networks of a column have, if there are two.

    Args:
        comparison: the table.
        column: its column.
        baseline: key of the row that the others are compared with.
    """
    rows = [row for row in comparison.spec.rows if row.baseline == baseline]
    ours = _finished(comparison, baseline, column)
    theirs = {row: _finished(comparison, row.key, column) for row in rows}
    num = {seed: sum(seed in runs for runs in theirs.values()) for seed in ours}
    if not any(num.values()):
        return None
    seed = min(num, key=lambda seed: (-num[seed], seed))
    others = tuple((row, runs[seed]) for row, runs in theirs.items() if seed in runs)
    return Rivals(column, (comparison.spec.row(baseline), ours[seed]), others)


def load(
    rivals: Rivals, runs: Path, instantiate: Callable[..., Any], data_dir: str | Path
) -> Networks:
    """Rebuild the networks of rivals, and draw their test set.

    Args:
        rivals: what to load.
        runs: folder of the runs.
        instantiate: builds an object from a configuration with `_target_` (Hydra's).
        data_dir: where the data are now.

    Raises:
        OSError, ValueError: a run or the data are not there or not usable.
    """
    entries = (rivals.baseline, *rivals.others)
    cells, tasks = zip(
        *(restore(runs / record.run_id, instantiate, data_dir) for _, record in entries),
        strict=True,
    )
    datamodule = instantiate(cells[0].config["data"]["module"])
    datamodule.prepare_data()
    loader = datamodule.test_dataloader()
    images, labels = zip(*(datamodule.on_after_batch_transfer(b, 0) for b in loader), strict=True)
    first, *others = (task.network.eval() for task in tasks)
    return Networks(first, tuple(others), torch.cat(images), torch.cat(labels))


def draw_examples(rivals: Rivals, networks: Networks, title: str, num: int) -> Image.Image | None:
    """Draw up to `num` digits of each network that beats the baseline on any; None if none does."""
    guesses = classify(networks.baseline, networks.U)
    wrong = (guesses != networks.labels).nonzero()[:, 0]
    labels = networks.labels[wrong]
    right = torch.stack([classify(n, networks.U[wrong]) == labels for n in networks.others])
    rows = []
    for (row, record), network, chosen in zip(
        rivals.others, networks.others, choose(labels, right, num), strict=True
    ):
        transformer, numbers = first_transformer(network), wrong[chosen]
        if transformer is None or not len(numbers):
            continue
        drawn = warp(transformer, networks.U[numbers])
        error = _error(record)
        answers = networks.labels[numbers], guesses[numbers]
        rows.append(ExampleRow(row.label, error, drawn, numbers, *answers))
    if not rows:
        return None
    row, record = rivals.baseline
    heading = f"{title}: test digits that the {row.label} gets wrong"
    names = row.label, rivals.others[0][0].group
    return example_sheet(f"{heading} and the {names[1]} right", _budget(rivals), names, rows)


def draw_alignment(rivals: Rivals, networks: Networks, title: str) -> Image.Image:
    """Draw the mean test digit of each class, as it is and as each transformer hands it on."""
    U, labels = networks.U[:NUM_ALIGNED], networks.labels[:NUM_ALIGNED]
    rows = [("input", "", class_means(U, labels, NUM_CLASSES))]
    for (row, record), network in zip(rivals.others, networks.others, strict=True):
        transformer = first_transformer(network)
        if transformer is not None:
            means = class_means(warp(transformer, U).V, labels, NUM_CLASSES)
            rows.append((row.label, _error(record), means))
    heading = f"{title}: mean test digits before and after the transformer"
    return alignment_sheet(heading, f"the first {len(U):,} by class; {_budget(rivals)}", rows)


def choose(labels: Tensor, right: Tensor, num: int) -> list[Tensor]:
    """Choose digits to show for each network, of those that the baseline gets wrong.

    First those that all networks get right, so that their pictures can be compared, then its own;
    in either, one of each class before a second of any, in the order of the test set.

    Args:
        labels: (M,) of the digits.
        right: (R, M), whether network r gets digit m right.
        num: how many to choose, at most.

    Returns:
        For each network, positions in 0..M-1.
    """
    for_all = right.all(dim=0)
    shared, chosen = _spread(labels, for_all), []
    for own in right:
        chosen.append(torch.cat([shared, _spread(labels, own & ~for_all)])[:num])
    return chosen


@torch.no_grad()
def classify(network: nn.Module, U: Tensor) -> Tensor:
    """Return the most likely class (B,) of images U (B, 1, H, W)."""
    parts = [network(batch).argmax(dim=1) for batch in U.split(BATCH_SIZE)]
    return torch.cat(parts) if parts else torch.empty(0, dtype=torch.int64)


def _spread(labels: Tensor, eligible: Tensor) -> Tensor:
    """Positions of the eligible, ordered so that the first of each class come first."""
    positions = eligible.nonzero()[:, 0]
    seen: dict[int, int] = {}
    rank = []
    for label in labels[positions].tolist():
        rank.append(seen.setdefault(label, 0))
        seen[label] += 1
    return positions[torch.tensor(rank, dtype=torch.int64).argsort(stable=True)]


def _finished(comparison: Comparison, row: str, column: Column) -> dict[int, Record]:
    return {record.seed: record for record in comparison.cell(row, column.key).finished}


def _error(record: Record) -> str:
    return f"error {record.test_error_percent:.2f} %"


def _budget(rivals: Rivals) -> str:
    """How the networks were trained, and the baseline's test error."""
    row, record = rivals.baseline
    return (
        f"recipe {record.recipe}: {record.steps:,} steps of {record.batch_size} images,"
        f" seed {record.seed}; {row.label}: {_error(record)}"
    )
