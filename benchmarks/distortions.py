"""Group 3: images distorted in a second, ours against torchvision per image and kornia in batches.

The others have no such distortion for clutter, and draw theirs from other families (their
perspective and elastic distortions move less); what is compared is the work for an image of the
same size, from bytes in memory to floating point numbers.
"""

import importlib.util
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
    batches = torch.randperm(POOL_SIZE, generator=random).split(batch_size)
    rows = []
    for data in configured.names("data"):
        config = configured.cell(f"data={data}").config["data"]
        times = interleave(_measures(data, config, pool, batches), rounds)
        rows.append(Row(data, config["label"], _values(times)))
    missing = [name for name in ("torchvision", "kornia") if not _installed(name)]
    left_out = [f"{name}, which is not installed" for name in missing]
    note = NOTE.format(batch_size=batch_size)
    return Section("distortions", "Distortions", note, rows, left_out)


def _measures(
    data: str, config: dict[str, Any], pool: Tensor, batches: tuple[Tensor, ...]
) -> dict[str, Measure]:
    distortion = configured.instantiate(config["module"]["distortion"])
    index, side = batches[0], config["image_size"][0]
    measures = {"ours": timed(lambda: distortion(pool, index, 0), units=len(index))}
    if data in augmentations.TORCHVISION and _installed("torchvision"):
        transform = augmentations.torchvision(data, side)
        few = index[:NUM_PER_IMAGE].tolist()
        one_by_one = lambda: torch.stack([transform(pool[i]) for i in few])  # noqa: E731
        measures["torchvision"] = timed(one_by_one, units=len(few))
    if data in augmentations.KORNIA and _installed("kornia"):
        augment = augmentations.kornia(data, side)
        measures["kornia"] = timed(lambda: augment(pool[index]), units=len(index))
    return measures


def _values(times: dict[str, list[float]]) -> dict[str, Any]:
    values = {"images/s": spread([1 / seconds for seconds in times["ours"]])}
    for other in times.keys() & {"torchvision", "kornia"}:
        values[other] = spread([1 / seconds for seconds in times[other]])
        values[f"times {other}"] = ratio(times, other, "ours")
    names = ["images/s", "torchvision", "times torchvision", "kornia", "times kornia"]
    return {name: values[name] for name in names if name in values}


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
