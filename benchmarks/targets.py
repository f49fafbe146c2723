"""The speeds that this project set out to reach, and whether a run of the benchmark shows them."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.timing import Spread

Place = tuple[str, str, str]  # section, row, column


class Target(NamedTuple):
    """A bound on the median of one measurement."""

    what: str
    place: Place
    bound: float
    at_least: bool = False  # whether larger is better

    def verdict(self, measurements: Mapping[Place, Spread]) -> list[str]:
        """Return what is bounded, what was measured, the bound, and whether it is kept.

        What is shown, with three decimals or none above 1,000, is rounded away from the bound.
        """
        bound = f"{'≥' if self.at_least else '≤'} {self.bound:,g}"
        if self.place not in measurements:
            return [self.what, "not measured here", bound, ""]
        value = measurements[self.place].median
        is_kept = value >= self.bound if self.at_least else value <= self.bound
        decimals = 0 if abs(value) >= 1000 else 3
        away = math.floor if self.at_least else math.ceil
        shown = f"{away(value * 10**decimals) / 10**decimals:,.{decimals}f}"
        return [self.what, shown, bound, "yes" if is_kept else "**no**"]


WHERE = {"first": "first layer, 28 px", "first_42": "first layer, 42 px", "inside": "inside"}
TARGETS = [
    Target(
        "CNN step, ours / plain torch in its best layout, R",
        ("networks", "cnn", "ours / best plain"),
        0.75,
    ),
    Target(
        "ST-CNN affine step, ours / plain torch in its best layout, R",
        ("networks", "st_cnn_affine", "ours / best plain"),
        0.5,
    ),
    # A transformer costs little over its own classifier and over the table's row alike: a slow
    # classifier would flatter its transformer.
    *(
        Target(
            f"{row} step / CNN step, both ours, R, {cnn}", ("steps", f"{row}/mnist_r", to), bound
        )
        for row, bound in (("st_cnn_affine", 1.3), ("st_cnn_tps", 1.4))
        for cnn, to in (("the CNN behind it", "/ same classifier"), ("the table's CNN", "/ row"))
    ),
    # The bare layer is never slower; thin plate spline and projective take half of kornia's.
    *(
        Target(
            f"{family} layer forward and backward, ours / {other}, {where}",
            ("layers", f"{family}/{case}", f"ours / {other}"),
            0.5 if other == "kornia" and family != "affine" else 1.0,
        )
        for family in ("affine", "projective", "tps")
        for case, where in WHERE.items()
        for other in ("plain torch", "kornia")
    ),
    Target("distortion R, images/s", ("distortions", "mnist_r", "images/s"), 150_000, True),
    Target("distortion P, images/s", ("distortions", "mnist_p", "images/s"), 80_000, True),
    Target("distortion E, images/s", ("distortions", "mnist_e", "images/s"), 80_000, True),
    Target("Lightning loop / bare loop, CNN", ("loop", "cnn", "Lightning / bare"), 1.05),
    Target("Lightning loop / bare loop, FCN", ("loop", "fcn", "Lightning / bare"), 1.5),
    *(
        Target(f"ST-CNN {name} / CNN, width 1, 54 px", ("house_numbers", key, "/ CNN"), bound)
        for name, key, bound in (
            ("Single", "svhn_st_cnn_single", 1.04),
            ("Multi", "svhn_st_cnn_multi", 1.06),
        )
    ),
    Target("crops of 64 px, images/s", ("house_numbers", "svhn", "images/s"), 20_000, True),
    Target(
        "42 px CNN convolutions, direct arithmetic / time, share of the matrix-product rate",
        ("roofline", "cnn_42", "share of the rate"),
        0.9,
        True,
    ),
    Target(
        "two cells side by side, over one after the other",
        ("cells", "side_by_side", "ratio"),
        1.9,
        True,
    ),
]
