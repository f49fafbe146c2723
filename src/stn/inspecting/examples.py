"""Images that a network without a transformer gets wrong and those with one get right.

The right half of Table 1, of any table of classes, from finished runs: `find_rivals` finds runs to
compare, `load` their networks, `choose` the images to show.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from stn.drawing.canvas import Canvas
from stn.drawing.sheets import ExampleRow, alignment_sheet, class_means, example_sheet
from stn.drawing.warps import Warp, warp
from stn.inspecting.answers import images_and_classes
from stn.inspecting.looks import at_images
from stn.results.comparison import Comparison
from stn.results.records import Record
from stn.results.table import Column, Metric, Row
from stn.results.wording import number
from stn.running.preparing import build_data
from stn.running.restoring import restore

NUM_ALIGNED, MAX_CLASSES = 1000, 10
BATCH_SIZE = 100

Entry = tuple[Row, Record]


@dataclass(frozen=True)
class Rivals:
    """Finished runs of one seed in one column: of a baseline, and of what shall beat it."""

    column: Column
    metric: Metric
    baseline: Entry
    others: tuple[Entry, ...]


@dataclass(frozen=True)
class Networks:
    """The networks of rivals, with their test set.

    Attributes:
        baseline, others: the networks.
        images: gives those of some numbers (M,): U (M, C, H, W). Volumes are too many to keep.
        labels: classes of all (N, ...).
    """

    baseline: nn.Module
    others: tuple[nn.Module, ...]
    images: Callable[[Tensor], Tensor]
    labels: Tensor


def find_rivals(comparison: Comparison, column: Column, baseline: str) -> Rivals | None:
    """Return the runs of the first seed that most networks of a column have, if there are two.

    Rows that have other images than the baseline cannot be compared with it in pictures.

    Args:
        comparison: the table.
        column: its column.
        baseline: key of the row that the others are compared with.
    """

    def runs_of(row: str) -> dict[int, Record]:
        return {record.seed: record for record in comparison.cell(row, column.key).finished}

    ours = runs_of(baseline)
    theirs = [
        (row, {s: r for s, r in runs_of(row.key).items() if s in ours and r.data == ours[s].data})
        for row in comparison.table.rows
        if row.baseline == baseline
    ]
    num = {seed: sum(seed in runs for _, runs in theirs) for seed in ours}
    if not any(num.values()):
        return None
    seed = min(num, key=lambda seed: (-num[seed], seed))
    others = tuple((row, runs[seed]) for row, runs in theirs if seed in runs)
    entry = comparison.table.row(baseline), ours[seed]
    return Rivals(column, comparison.table.metric, entry, others)


def load(
    rivals: Rivals, runs: Path, data_dir: str | Path, packages: Sequence[str] = ()
) -> Networks:
    """Rebuild the networks of rivals, and read their test set.

    Args:
        rivals: what to load.
        runs: folder of the runs.
        data_dir: where the data are now.
        packages: whose classes may be built besides this project's.

    Raises:
        OSError: a run or the data are not there.
        ValueError: they are not usable, or an image has no class.
    """
    entries = (rivals.baseline, *rivals.others)
    restored = [restore(runs / record.run_id, data_dir, packages) for _, record in entries]
    first, *others = (task.network.eval() for _, task in restored)
    data = build_data(restored[0][0])
    labels = torch.cat([labels for _, labels in images_and_classes(data)])
    return Networks(first, tuple(others), lambda numbers: data.drawn("test", numbers)[0], labels)


def draw_examples(rivals: Rivals, networks: Networks, title: str, num: int) -> Canvas | None:
    """Draw up to `num` images for each transformer whose network beats the baseline on any.

    None if none does.
    """
    images, everyone = networks.images, torch.arange(len(networks.labels))
    guesses = classify(networks.baseline, images, everyone)
    wrong = (guesses != networks.labels).nonzero()[:, 0]
    labels = networks.labels[wrong]
    right = torch.stack([classify(n, images, wrong) == labels for n in networks.others])
    rows = []
    for (row, record), network, chosen in zip(
        rivals.others, networks.others, choose(labels, right, num), strict=True
    ):
        numbers = wrong[chosen]
        answers = networks.labels[numbers], guesses[numbers]
        for name, drawn in _warps(row, network, images, numbers):
            rows.append(ExampleRow(name, _result(rivals, record), drawn, numbers, *answers))
    if not rows:
        return None
    names = rivals.baseline[0].label, rivals.others[0][0].group
    heading = f"{title}: test images that the {names[0]} gets wrong and the {names[1]} right"
    return example_sheet(heading, _budget(rivals), names, rows)


def draw_alignment(rivals: Rivals, networks: Networks, title: str) -> Canvas | None:
    """Draw the mean test image of the first classes, as it is and as transformers hand it on.

    None if no network has a transformer of images.
    """
    shown = (networks.labels < MAX_CLASSES).nonzero()[:NUM_ALIGNED, 0]
    labels = networks.labels[shown]
    num_classes = int(labels.max()) + 1
    rows: list[tuple[str, str, Tensor]] = []
    for (row, record), network in zip(rivals.others, networks.others, strict=True):
        for name, drawn in _warps(row, network, networks.images, shown):
            if not rows:
                rows.append(("input", "", class_means(drawn.U, labels, num_classes)))
            means = class_means(drawn.V, labels, num_classes)
            rows.append((name, _result(rivals, record), means))
    if not rows:
        return None
    heading = f"{title}: mean test images before and after the transformer"
    return alignment_sheet(heading, f"the first {len(shown):,} by class; {_budget(rivals)}", rows)


def choose(labels: Tensor, right: Tensor, num: int) -> list[Tensor]:
    """Choose images to show for each network, of those that the baseline gets wrong.

    First those that all networks get right, so that their pictures can be compared, then its own;
    in either, one of each class before a second of any, in the order of the test set.

    Args:
        labels: (M,) of the images.
        right: (R, M), whether network r gets image m right.
        num: how many to choose, at most.

    Returns:
        For each network, positions in 0..M-1.
    """
    for_all = right.all(dim=0)
    shared, chosen = spread(labels, for_all), []
    for own in right:
        chosen.append(torch.cat([shared, spread(labels, own & ~for_all)])[:num])
    return chosen


@torch.no_grad()
def classify(network: nn.Module, images: Callable[[Tensor], Tensor], numbers: Tensor) -> Tensor:
    """Return the most likely class (M,) of the images of some numbers (M,)."""
    if not len(numbers):
        return numbers
    return torch.cat([network(images(n)).argmax(dim=1) for n in numbers.split(BATCH_SIZE)])


def spread(labels: Tensor, eligible: Tensor) -> Tensor:
    """Positions of the eligible, ordered so that the first of each class come first."""
    positions = eligible.nonzero()[:, 0]
    seen: dict[int, int] = {}
    rank = []
    for label in labels[positions].tolist():
        rank.append(seen.setdefault(label, 0))
        seen[label] += 1
    return positions[torch.tensor(rank, dtype=torch.int64).argsort(stable=True)]


def _warps(
    row: Row, network: nn.Module, images: Callable[[Tensor], Tensor], numbers: Tensor
) -> list[tuple[str, Warp]]:
    """What transformers of the images themselves make of them, by name: numbered if many."""
    parts = []
    for some in numbers.split(BATCH_SIZE) if len(numbers) else ():
        U = images(some)
        parts.append([warp(t, U, theta) for t, theta in at_images(network, U)])
    warps = [Warp.joined(these) for these in zip(*parts, strict=True)]
    if len(warps) == 1:
        return [(row.label, warps[0])]
    return [(f"{row.label} {i + 1}/{len(warps)}", found) for i, found in enumerate(warps)]


def _result(rivals: Rivals, record: Record) -> str:
    metric = rivals.metric
    value = number(record.metrics[metric.name], metric.digits)
    return f"{metric.label.removeprefix('test ')} {value} {metric.unit}".rstrip()


def _budget(rivals: Rivals) -> str:
    """How the networks were trained, and what the baseline reached."""
    row, record = rivals.baseline
    return (
        f"recipe {record.recipe}: {record.steps:,} steps of {record.batch_size} images,"
        f" seed {record.seed}; {row.label}: {_result(rivals, record)}"
    )
