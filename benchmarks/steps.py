"""What a transformer adds to a training step of the classifier behind it."""

import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import configured
from benchmarks.report import Row, Section
from benchmarks.timing import Measure, interleave, ratio, spread, timed
from stn.models.matching import num_parameters
from stn.running.preparing import Cell

BATCH_SIZE = 256
# Weights must not drift: every round measures the same network. The arithmetic is the same.
LEARNING_RATE = 1e-7
DATA = ("mnist_r", "mnist_rts")
NOTE = """\
One training step on a batch of {batch_size}: forward, backward, update by the optimiser of `quick`.
`/ same classifier` divides by the step of the very classifier that stands behind the transformer,
`/ row` by the step of the table's CNN or FCN, which has as many parameters as the whole (and, on
RTS, sees 42 x 42 pixels where the classifier behind a transformer sees what it pooled)."""


def training_step(network: nn.Module, described: Cell, U: Tensor) -> Callable[[], Tensor]:
    """Make a function that takes one training step and returns the loss."""
    optimizer = described.build(described.config["recipe"]["optimizer"])(
        network.parameters(), lr=LEARNING_RATE
    )
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(described.config["data"]["num_classes"], (len(U),), generator=random)

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(network(U), labels)
        loss.backward()
        optimizer.step()
        return loss

    return step


def measure(rounds: int, batch_size: int = BATCH_SIZE) -> Section:
    """Measure the rows of Table 1 on two of its columns, and classifiers behind transformers."""
    rows: list[Row] = []
    for data in DATA:
        measures: dict[str, Measure] = {}
        partners: dict[str, dict[str, str]] = {}
        for key, row in configured.rows().items():
            described = configured.row_cell(row, data)
            network, U = configured.network(described), configured.images(described, batch_size)
            measures[key] = timed(training_step(network, described, U))
            if "baseline" in row:
                classifier = copy.deepcopy(network.classifier)
                same = f"{row.baseline} of {num_parameters(classifier):,} parameters"
                V = torch.rand_like(network.pool(network.transformer(U)))
                measures.setdefault(same, timed(training_step(classifier, described, V)))
                partners[key] = {"/ same classifier": same, "/ row": row.baseline}
        times = interleave(measures, rounds)
        for name, seconds in times.items():
            ratios = {c: ratio(times, name, other) for c, other in partners.get(name, {}).items()}
            values = {"ms": spread(seconds).times(1000), **ratios}
            rows.append(Row(f"{name}/{data}", f"{name}, {data}", values))
    return Section("steps", "What a transformer costs", NOTE.format(batch_size=batch_size), rows)
