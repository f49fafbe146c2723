"""A training step of whole networks, ours against the same in plain torch."""

import torch

from benchmarks import configured, plain
from benchmarks.report import Row, Section
from benchmarks.steps import BATCH_SIZE, training_step
from benchmarks.timing import fastest, interleave, ratio, spread, timed

LAYOUTS = {
    "plain, default": torch.contiguous_format,
    "plain, channels last": torch.channels_last,
}
NOTE = """\
One training step on R at a batch of {batch_size}, against the same network with the same weights
and optimiser as it is without `stn.fast`, with `F.affine_grid` and `F.grid_sample` as transformer,
in both layouts of memory. Times in ms. The last column divides by the layout that was faster."""


def measure(rounds: int, batch_size: int = BATCH_SIZE) -> Section:
    """Measure the networks of Table 1, with the affine transformer and without."""
    rows = []
    for key, row in configured.rows().items():
        if row.overrides.get("transform", "affine") != "affine":
            continue
        described = configured.row_cell(row, "mnist_r")
        U = configured.images(described, batch_size)
        measures = {"ours": timed(training_step(configured.network(described), described, U))}
        for name, layout in LAYOUTS.items():
            twin = plain.with_plain_transformer(configured.network(described, fast=False))
            twin, V = twin.to(memory_format=layout), U.contiguous(memory_format=layout)
            measures[name] = timed(training_step(twin, described, V))
        times = interleave(measures, rounds)
        values = {column: spread(seconds).times(1000) for column, seconds in times.items()}
        values["ours / best plain"] = ratio(times, "ours", fastest(times, *LAYOUTS))
        rows.append(Row(key, key, values))
    title = "Networks, ours against plain torch"
    return Section("networks", title, NOTE.format(batch_size=batch_size), rows)
