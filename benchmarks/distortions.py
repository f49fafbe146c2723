"""Images distorted in a second, ours against torchvision per image and kornia in batches.

The others have no such distortion for clutter, and draw theirs from other families (their
perspective and elastic distortions move less); what is compared is the work for an image of the
same size, from bytes in memory to floating point numbers.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks import augmentations, configured
from benchmarks.report import Row, Section
from benchmarks.steps import BATCH_SIZE
from benchmarks.timing import Measure, interleave, ratio, spread, timed

NUM_PER_IMAGE = 32
POOL_SIZE = 55_000
NOTE = """\
Images per second from bytes to float32, drawn in batches of {batch_size}; torchvision's `v2`
transforms take one image after another, kornia's augmentations a batch. Theirs are the nearest
they have: rotation; rotation, scale and place; perspective; elastic or thin plate spline."""


def measure(rounds: int, batch_size: int = BATCH_SIZE) -> Section:
    """Measure every distortion of the data configurations."""
    random = torch.Generator().manual_seed(0)
    pool = torch.randint(256, (POOL_SIZE, 1, 28, 28), dtype=torch.uint8, generator=random)
    index = torch.randperm(POOL_SIZE, generator=random)[:batch_size]
    rows = []
    for data in configured.data_sets():
        described = configured.cell(f"data={data}")
        distortion = described.build(described.config["data"]["module"]["distortion"])
        ways = {"ours": timed(partial(distortion, pool, index, 0), units=len(index))}
        ways |= _others(data, described.config["data"], pool, index)
        times = interleave(ways, rounds)
        values = {"images/s": spread([1 / seconds for seconds in times["ours"]])}
        for other in list(ways)[1:]:
            values[other] = spread([1 / seconds for seconds in times[other]])
            values[f"times {other}"] = ratio(times, other, "ours")
        rows.append(Row(data, described.config["data"]["label"], values))
    left_out = [] if augmentations.has_kornia() else ["kornia, which is not installed"]
    note = NOTE.format(batch_size=batch_size)
    return Section("distortions", "Distortions", note, rows, left_out)


def _others(
    data: str, config: Mapping[str, Any], pool: Tensor, index: Tensor
) -> dict[str, Measure]:
    measures, side = {}, config["image_size"][0]
    if data in augmentations.TORCHVISION:
        one, few = augmentations.torchvision(data, side), index[:NUM_PER_IMAGE].tolist()
        one_by_one = lambda: torch.stack([one(pool[i]) for i in few])  # noqa: E731
        measures["torchvision"] = timed(one_by_one, units=len(few))
    if data in augmentations.KORNIA and augmentations.has_kornia():
        batch = augmentations.kornia(data, side)
        measures["kornia"] = timed(lambda: batch(pool[index]), units=len(index))
    return measures
