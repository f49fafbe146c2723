"""Table 2: how many crops a core draws in a second, and what transformers cost the networks."""

from functools import partial
from pathlib import Path
from tempfile import gettempdir

import torch

from benchmarks.report import Row, Section
from benchmarks.timing import interleave, ratio, spread, timed
from stn.data.svhn import SvhnDataModule
from stn.models.svhn import HouseNumberCnn, Localisation, PaddedConvLocalisation
from stn.transformers import Affine, FullyConnectedLocalisation

BATCH_SIZE = 64
MAPS = partial(FullyConnectedLocalisation, hidden=(32, 32))
NETWORKS: dict[
    str, tuple[tuple[int, ...], Localisation | None]
] = {  # places, and what finds theta there
    "CNN": ((), None),
    "ST-CNN Single": ((0,), PaddedConvLocalisation),
    "ST-CNN Multi": ((0, 1, 2, 3), MAPS),
}
NOTE = """\
Crops of 54 px of kept images of 64 px, drawn at random, in images a second. Forward and backward at
54 px, a batch of {batch_size}, width {width}, in ms an image; the last column divides by the
CNN's, in turns. The paper: Multi is 1.06."""


def measure(rounds: int, batch_size: int = BATCH_SIZE, width: float = 1.0) -> Section:
    """Measure the loader and the three networks."""
    rows = [Row("loader", "loader", {"crops/s": spread(_crops_a_second(rounds))})]
    U = torch.rand(batch_size, 3, 54, 54)
    steps = {}
    for name, (places, localisation) in NETWORKS.items():
        network = HouseNumberCnn(
            (3, 54, 54),
            num_heads=5,
            num_classes=11,
            width=width,
            places=places,
            transform=Affine(),
            localisation=localisation,
        )
        steps[name] = timed(partial(_step, network, U), units=batch_size)
    times = interleave(steps, rounds)
    for name, seconds in times.items():
        values = {"ms an image": spread(seconds).times(1000), "/ CNN": ratio(times, name, "CNN")}
        rows.append(Row(name, name, values))
    title = "House numbers"
    note = NOTE.format(batch_size=batch_size, width=width)
    return Section("house_numbers", title, note, rows)


def _crops_a_second(rounds: int) -> list[float]:
    data = SvhnDataModule(["train"], 64, 54, 0.3, "edge", 1, 256, 0, 0, Path(gettempdir()))
    pool = torch.randint(256, (4096, 3, 64, 64), dtype=torch.uint8)
    numbers = torch.randperm(4096)[:256]
    draw = timed(lambda: data.draw("train", pool, numbers, 0), units=256)
    return [1 / seconds for seconds in interleave({"draw": draw}, rounds)["draw"]]


def _step(network: HouseNumberCnn, U: torch.Tensor) -> None:
    network.zero_grad(set_to_none=True)
    network(U).square().mean().backward()
