"""What transformers in a row look at when house numbers are read (the right half of Table 2).

From finished runs: the product of their affine maps, drawn on the images with what is read, and how
much of the true box it covers and how it scales, before training and after.
"""

from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn

from stn.drawing.sheets import ReadingRow, reading_sheet
from stn.drawing.warps import product
from stn.running.examples import Networks, Rivals, budget, choose
from stn.tasks.house_numbers import NONE

BATCH_SIZE = 100
NUM_PROBES = 80  # points along each side of a box, by which its share is counted
NOTE = """\
Where the product of the transforms looks, over {num} test images. The box is that of all digits,
which a crop of the data set has in its middle, always as large; its height is that in the pixels of
the image it was cut from. Scale is the root of the looked-at area over the crop's. Means (sd).

| network | % of the box covered | scale | scale, for twice the height | correlation |
|-|-|-|-|-|
"""


class Reading(NamedTuple):
    """What a network makes of test images.

    Attributes:
        digits: what it reads (N, heads).
        confidence: the product of its heads' probabilities (N,).
        maps: the product (N, 2, 3) of its transformers' affine maps, from the last one's output to
            the image; None if it has no transformers, or others.
    """

    digits: Tensor
    confidence: Tensor
    maps: Tensor | None


class Crops(NamedTuple):
    """Where transformers look, over the test images.

    Attributes:
        coverage, coverage_sd: share of the box of all digits that is looked at.
        scale, scale_sd: root of the looked-at area over the image's; 1 is all of it.
        slope: change of scale where the box, in the pixels of its image, is twice as high.
        correlation: of scale with the logarithm of that height; NaN where scale is constant.
    """

    coverage: float
    coverage_sd: float
    scale: float
    scale_sd: float
    slope: float
    correlation: float


@torch.no_grad()
def read(network: nn.Module, U: Tensor) -> Reading:
    """Let a network in evaluation read images U (N, C, H, W)."""
    digits, confidence, maps = [], [], []
    for batch in U.split(BATCH_SIZE):
        best = network(batch).softmax(dim=2).max(dim=2)
        digits.append(best.indices)
        confidence.append(best.values.prod(dim=1))
        maps.append(product(network, batch))
    known = [found for found in maps if found is not None]
    return Reading(torch.cat(digits), torch.cat(confidence), torch.cat(known) if known else None)


def crops(maps: Tensor, halves: tuple[float, float], heights: Tensor) -> Crops:
    """Measure where transformers look.

    Args:
        maps: (N, 2, 3), from the output to the image, in normalised coordinates.
        halves: half of the width and height of the box, which is in the middle of every image.
        heights: of the boxes in the pixels of their images (N,).
    """
    maps = maps.double()
    steps = (torch.arange(NUM_PROBES, dtype=torch.float64) + 0.5) / NUM_PROBES * 2 - 1
    points = torch.cartesian_prod(halves[0] * steps, halves[1] * steps)  # (M, 2)
    seen = torch.linalg.solve(maps[:, :, :2], (points - maps[:, None, :, 2]).transpose(1, 2))
    coverage = (seen.abs() <= 1).all(dim=1).double().mean(dim=1)
    scale = torch.linalg.det(maps[:, :, :2]).abs().sqrt()
    x = heights.double().log2()
    x, y = x - x.mean(), scale - scale.mean()
    correlation = (x * y).sum() / (x.norm() * y.norm()) if y.norm() > 1e-6 else torch.nan
    return Crops(
        coverage.mean().item(),
        coverage.std().item(),
        scale.mean().item(),
        scale.std().item(),
        ((x * y).sum() / (x * x).sum()).item(),
        float(correlation),
    )


def draw_readings(rivals: Rivals, networks: Networks, title: str, num: int) -> Image.Image | None:
    """Draw up to `num` images for each network, first such as the baseline reads wrong.

    None if no network has transformers in a row that are affine.
    """
    lengths = (networks.labels != NONE).sum(dim=1)
    wrong = (read(networks.baseline, networks.U).digits != networks.labels).any(dim=1)
    readings = [read(network, networks.U) for network in networks.others]
    right = torch.stack([(r.digits == networks.labels).all(dim=1) for r in readings])
    rows = []
    for (row, record), reading, chosen in zip(
        rivals.others, readings, choose(lengths, right & wrong, num), strict=True
    ):
        if reading.maps is None:
            continue
        others = choose(lengths, ~torch.isin(torch.arange(len(wrong)), chosen)[None], num)[0]
        numbers = torch.cat([chosen, others])[:num]
        words = [
            (
                _written(reading.digits[i]),
                f"{reading.confidence[i]:.2f}",
                _written(networks.labels[i]),
            )
            for i in numbers.tolist()
        ]
        images = networks.U[numbers]
        error = (
            f"{record.metrics[rivals.metric.name]:.{rivals.metric.digits}f} {rivals.metric.unit}"
        )
        rows.append(ReadingRow(row.label, error, images, reading.maps[numbers], words))
    if not rows:
        return None
    return reading_sheet(
        f"{title}: where the product of the transforms looks", budget(rivals), rows
    )


def crops_table(rivals: Rivals, networks: Networks) -> str:
    """Tell in Markdown where the transformers look, at the start and after training.

    They start as the identity.
    """
    halves, heights = networks.data.test_boxes()
    found = [read(network, networks.U).maps for network in networks.others]
    num = len(networks.U)
    start = torch.eye(2, 3).expand(num, 2, 3)
    measured = {"any, at the start": crops(start, halves, heights)}
    for (row, record), maps in zip(rivals.others, found, strict=True):
        if maps is not None:
            measured[f"{row.label}, {record.steps:,} steps"] = crops(maps, halves, heights)
    lines = [
        f"| {name} | {100 * c.coverage:.1f} ({100 * c.coverage_sd:.1f}) | {c.scale:.3f}"
        f" ({c.scale_sd:.3f}) | {c.slope:+.4f} | {c.correlation:+.2f} |"
        for name, c in measured.items()
    ]
    return NOTE.format(num=num) + "\n".join(lines).replace("+nan", "") + "\n"


def _written(digits: Tensor) -> str:
    return "".join(str(digit) for digit in digits.tolist() if digit != NONE) or "nothing"
