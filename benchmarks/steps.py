"""Group 1: what a transformer adds to a training step of the classifier behind it."""

import copy
from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import configured
from benchmarks.report import Row, Section
from benchmarks.timing import Measure, Times, interleave, ratio, spread, timed
from stn.models.mnist import num_parameters
from stn.running.cell import Cell

BATCH_SIZE = 256
# Weights must not drift: every round measures the same network. The arithmetic is the same.
LEARNING_RATE = 1e-7
BASELINES = {"st_fcn": "fcn", "st_cnn": "cnn"}
NOTE = """\
One training step on a batch of {batch_size}: forward, backward, update by the optimiser of `quick`.
`/ same classifier` divides by the step of the very classifier that stands behind the transformer,
`/ row` by the step of the table's CNN or FCN, which has as many parameters as the whole (and, on
RTS, sees 42 x 42 pixels where the classifier behind a transformer sees what it pooled)."""


def training_step(
    network: nn.Module, described: Cell, U: Tensor, labels: Tensor
) -> Callable[[], Tensor]:
    """Make a function that takes one training step and returns the loss."""
    build_optimizer = described.instantiate(described.config["recipe"]["optimizer"])
    optimizer = build_optimizer(network.parameters(), lr=LEARNING_RATE)

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(network(U), labels)
        loss.backward()
        optimizer.step()
        return loss

    return step


def measure(rounds: int, batch_size: int = BATCH_SIZE) -> Section:
    """Measure every transform before both classifiers, on R and on RTS."""
    rows: list[Row] = []
    for data in ("mnist_r", "mnist_rts"):
        measures: dict[str, Measure] = {}
        partners = _add_steps(measures, data, batch_size)
        rows += _rows(interleave(measures, rounds), partners, data)
    return Section("steps", "What a transformer costs", NOTE.format(batch_size=batch_size), rows)


def _add_steps(
    measures: dict[str, Measure], data: str, batch_size: int
) -> dict[str, tuple[str, str]]:
    """Add the steps of a column; return, for each network with a transformer, its two partners."""
    partners = {}
    for model, baseline in BASELINES.items():
        described = configured.cell(f"model={baseline}", f"data={data}")
        row = configured.network(described)
        measures[baseline] = _step(
            row, described, described.config["data"]["image_size"], batch_size
        )
        for transform in configured.names("transform"):
            described = configured.cell(f"model={model}", f"data={data}", f"transform={transform}")
            network: Any = configured.network(described)
            image_size = described.config["data"]["image_size"]
            name = f"{model}_{transform}"
            measures[name] = _step(network, described, image_size, batch_size)
            classifier = copy.deepcopy(network.classifier)
            same = f"{baseline} of {num_parameters(classifier):,} parameters"
            if same not in measures:
                size = _size_after_pooling(described, model)
                measures[same] = _step(classifier, described, size, batch_size)
            partners[name] = same, baseline
    return partners


def _step(network: nn.Module, described: Cell, size: Any, batch_size: int) -> Measure:
    U = configured.images(batch_size, tuple(size))
    return timed(training_step(network, described, U, configured.labels(batch_size)))


def _size_after_pooling(described: Cell, model: str) -> tuple[int, int]:
    transformer = described.config["data"]["transformer"][model]
    height, width = (side // transformer["pool"] for side in transformer["output_size"])
    return height, width


def _rows(times: Times, partners: dict[str, tuple[str, str]], data: str) -> list[Row]:
    rows = []
    for name, seconds in times.items():
        values = {"ms": spread(seconds).times(1000)}
        if name in partners:
            same, baseline = partners[name]
            values["/ same classifier"] = ratio(times, name, same)
            values["/ row"] = ratio(times, name, baseline)
        rows.append(Row(f"{name}/{data}", f"{name}, {data}", values))
    return rows
