"""How quickly random crops are drawn from images that are kept."""

from functools import partial

from benchmarks import configured
from benchmarks.report import Row
from benchmarks.timing import interleave, spread, timed
from stn.running.preparing import build_data


def rate(data: str, noise: str, rounds: int, *overrides: str) -> Row:
    """Measure images/s of a data set's crops, a batch at a time, from noise in place of images.

    Args:
        data: the name of its file in `conf`.
        noise: class of this package that makes the images.
        rounds: of measuring.
        overrides: of the cell, such as its model.
    """
    described = configured.cell(f"data={data}", f"data.module._target_={noise}", *overrides)
    module = build_data(described)
    numbers = module.order("train")
    draw = timed(partial(module.drawn, "train", numbers), units=len(numbers))
    (seconds,) = interleave({data: draw}, rounds).values()
    rates = {"images/s": spread([1 / second for second in seconds])}
    return Row(data, f"crops of {data}, drawn", rates)
