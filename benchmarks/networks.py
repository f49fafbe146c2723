"""Group 2, first part: a training step of whole networks, ours against the same in plain torch."""

import torch
from torch import nn

from benchmarks import configured, plain
from benchmarks.report import Row, Section
from benchmarks.steps import BATCH_SIZE, training_step
from benchmarks.timing import Measure, fastest, interleave, ratio, spread, timed
from stn.running.cell import Cell

NETWORKS = {
    "cnn": ("model=cnn",),
    "st_cnn_affine": ("model=st_cnn", "transform=affine"),
    "fcn": ("model=fcn",),
    "st_fcn_affine": ("model=st_fcn", "transform=affine"),
}
LAYOUTS = {
    "plain, default": torch.contiguous_format,
    "plain, channels last": torch.channels_last,
}
NOTE = """\
One training step on R at a batch of {batch_size}, against the same network with the same weights
and optimiser made of `nn.Conv2d`, `nn.MaxPool2d`, `F.affine_grid` and `F.grid_sample`, in both
layouts of memory. Times in ms. The last column divides by the layout that was faster."""


def measure(rounds: int, batch_size: int = BATCH_SIZE) -> Section:
    """Measure the networks of Table 1, with the affine transformer and without."""
    rows = []
    for name, overrides in NETWORKS.items():
        described = configured.cell(*overrides, "data=mnist_r")
        times = interleave(_measures(described, batch_size), rounds)
        best = fastest(times, *LAYOUTS)
        values = {column: spread(seconds).times(1000) for column, seconds in times.items()}
        values["ours / best plain"] = ratio(times, "ours", best)
        rows.append(Row(name, name, values))
    title = "Networks, ours against plain torch"
    return Section("networks", title, NOTE.format(batch_size=batch_size), rows)


def _measures(described: Cell, batch_size: int) -> dict[str, Measure]:
    networks: dict[str, nn.Module] = {"ours": configured.network(described)}
    for name, layout in LAYOUTS.items():
        networks[name] = plain.twin(networks["ours"]).to(memory_format=layout)
    U = configured.images(batch_size, tuple(described.config["data"]["image_size"]))
    labels = configured.labels(batch_size)
    layouts = {"ours": torch.contiguous_format, **LAYOUTS}
    return {
        name: timed(
            training_step(network, described, U.contiguous(memory_format=layouts[name]), labels)
        )
        for name, network in networks.items()
    }
