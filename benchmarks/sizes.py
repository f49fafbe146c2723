"""The warp at any size, ours against torch's: a map of ratios.

    python -m benchmarks.sizes [--rounds 5] [--out docs/images]

Ours is the affine layer by given parameters, torch's is `F.affine_grid` and `F.grid_sample`; the
sampler alone is compared on one grid. What takes torch less than `SHORT_S` is bound by the calls
of Python and not by the sizes: its ratios are listed, and said as microseconds in the summary.
"""

import argparse
import csv
import io
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

from benchmarks import plain
from benchmarks.timing import interleave, ratio, timed
from stn.fast.memory import keep_freed_memory
from stn.files.atomic import write_atomically
from stn.transformers import Affine, SpatialTransformer, sample

SIDES = (2, 8, 28, 60, 225, 1000, 2000)
CHANNELS = (1, 8, 64, 512)
BATCHES = (1, 16, 256)
OUTPUTS: dict[str, Callable[[int], int]] = {
    "7 px": lambda side: 7,
    "half": lambda side: max(1, side // 2),
    "same": lambda side: side,
}
PASSES = ("forward", "backward to theta", "backward to both")
MOST_FLOATS = 2**24
SHORT_S = 1e-3
BANDS = {"< 1 ms": (0, 1e3), "1 to 10 ms": (1e3, 1e4), "10 ms and more": (1e4, 1e12)}


class Case(NamedTuple):
    """Images (batch, channels, side, side + 1), and the side of what is made of them."""

    batch: int
    channels: int
    side: int
    output: str

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the output, which is not square, either."""
        side = OUTPUTS[self.output](self.side)
        return side, side + 1


class Found(NamedTuple):
    """Ratios ours / torch, and torch's time."""

    case: Case
    of: str  # layer or sampler
    passes: str
    torch_us: float
    ratio: float

    @property
    def is_short(self) -> bool:
        """Whether the calls of Python decide."""
        return self.torch_us < SHORT_S * 1e6

    @property
    def extra_us(self) -> float:
        """What ours takes more."""
        return (self.ratio - 1) * self.torch_us


def cases(most_floats: int = MOST_FLOATS) -> Iterator[Case]:
    """Yield all cases whose images have up to so many numbers."""
    for side in SIDES:
        for channels in CHANNELS:
            for batch in BATCHES:
                if batch * channels * side * (side + 1) <= most_floats:
                    yield from (Case(batch, channels, side, output) for output in OUTPUTS)


def measure(case: Case, rounds: int) -> list[Found]:
    """Measure the layer and the sampler on one case."""
    random = torch.Generator().manual_seed(0)
    U = torch.rand(case.batch, case.channels, case.side, case.side + 1, generator=random)
    noise = torch.randn(case.batch, 6, generator=random)
    theta = Affine().identity() + 0.05 * noise
    grid = Affine().grid(theta, case.size)
    layer = SpatialTransformer(nn.Identity(), Affine(), case.size).warp
    ways: dict[str, tuple[plain.Warp, plain.Warp, Tensor]] = {
        "layer": (layer, plain.affine_warp(case.size), theta),
        "sampler": (sample, lambda U, grid: F.grid_sample(U, grid, align_corners=True), grid),
    }
    found = []
    for of, (ours, torchs, argument) in ways.items():
        for passes in PASSES:
            measures = {
                name: timed(_round_trip(warp, U, argument, passes))
                for name, warp in {"ours": ours, "torch": torchs}.items()
            }
            times = interleave(measures, rounds)
            median = statistics.median(times["torch"]) * 1e6
            found.append(Found(case, of, passes, median, ratio(times, "ours", "torch").median))
    return found


def _round_trip(warp: plain.Warp, U: Tensor, argument: Tensor, passes: str) -> Callable[[], Any]:
    if passes == "forward":
        return lambda: warp(U, argument)
    U = U.detach().requires_grad_(passes.endswith("both"))
    argument = argument.detach().requires_grad_()
    wanted = [x for x in (U, argument) if x.requires_grad]
    gradient = torch.ones_like(warp(U, argument)).detach()
    return lambda: torch.autograd.grad(warp(U, argument), wanted, gradient)


def to_csv(found: list[Found]) -> str:
    """Write all numbers, a line each."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["batch", "channels", "side_px", "output", "of", "passes", "torch_us", "ratio"])
    for f in found:
        writer.writerow([*f.case, f.of, f.passes, f"{f.torch_us:.0f}", f"{f.ratio:.3f}"])
    return file.getvalue()


def summary(found: list[Found]) -> str:
    """Say the middle and the worst of each map: by torch's time, and of short ones in µs."""
    lines = ["| of | passes | torch takes | cases | median | worst | at | most extra, µs |"]
    lines.append("|-|-|-|-|-|-|-|-|")
    for of in dict.fromkeys(f.of for f in found):
        for passes in PASSES:
            for name, (least, most) in BANDS.items():
                chosen = [
                    f
                    for f in found
                    if (f.of, f.passes) == (of, passes) and least <= f.torch_us < most
                ]
                if chosen:
                    lines.append(f"| {of} | {passes} | {name} | {_cells(chosen)} |")
    return "\n".join(lines) + "\n"


def _cells(found: list[Found]) -> str:
    worst, middle = max(found, key=lambda f: f.ratio), statistics.median(f.ratio for f in found)
    case = worst.case
    at = f"{case.batch}x{case.channels}x{case.side}x{case.side + 1} to {case.output}"
    extra = max(f.extra_us for f in found)
    return f"{len(found)} | {middle:.2f} | {worst.ratio:.2f} | {at} | {extra:.0f}"


def draw(found: list[Found], of: str) -> Figure:
    """Draw the map of the layer or the sampler: a panel for each output and passes."""
    figure = Figure(figsize=(16, 13), layout="constrained", dpi=80)
    figure.suptitle(
        f"Time of the {of}, ours / torch (bold: torch takes 1 ms or more; grey: less, so that the"
        " calls of Python decide; the number is the ratio)"
    )
    panels = figure.subplots(len(OUTPUTS), len(PASSES), sharex=True, sharey=True)
    rows = [(channels, batch) for channels in CHANNELS for batch in BATCHES]
    for axes_of_row, output in zip(panels, OUTPUTS, strict=True):
        for axes, passes in zip(axes_of_row, PASSES, strict=True):
            values = torch.full((len(rows), len(SIDES)), torch.nan)
            for f in found:
                if (f.of, f.passes, f.case.output) != (of, passes, output):
                    continue
                y, x = rows.index((f.case.channels, f.case.batch)), SIDES.index(f.case.side)
                if not f.is_short:
                    values[y, x] = f.ratio
                style = {"color": "grey"} if f.is_short else {"weight": "bold"}
                axes.text(x, y, f"{f.ratio:.2f}", ha="center", va="center", fontsize=8, **style)
            axes.imshow(values.numpy(), cmap="RdYlGn_r", vmin=0.5, vmax=1.5, aspect="auto")
            axes.set_title(f"output {output}, {passes}", fontsize=10)
            axes.set_xticks(range(len(SIDES)), [f"{side} px" for side in SIDES])
            axes.set_yticks(range(len(rows)), [f"{c} ch x {b}" for c, b in rows])
    return figure


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, measure, and write numbers and pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--most-floats", type=int, default=MOST_FLOATS, help="of the images")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    keep_freed_memory()
    found = []
    for case in cases(options.most_floats):
        found += measure(case, options.rounds)
        print(*case, *(f"{f.ratio:.2f}" for f in found[-6:]), flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    write_atomically(options.out / "sizes.csv", to_csv(found).encode())
    for of in ("layer", "sampler"):
        picture = io.BytesIO()
        draw(found, of).savefig(picture, format="png")
        write_atomically(options.out / f"sizes_{of}.png", picture.getvalue())
    print(summary(found))


if __name__ == "__main__":
    main()
