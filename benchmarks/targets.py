"""The speeds that this project set out to reach, and whether a run of the benchmark shows them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.timing import Spread

Place = tuple[str, str, str]  # section, row, column


@dataclass(frozen=True)
class Target:
    """A bound on the median of one measurement.

    Attributes:
        what: what is bounded.
        place: where the measurement stands in the report.
        bound: the number to reach.
        at_least: whether larger is better.
    """

    what: str
    place: Place
    bound: float
    at_least: bool = False


@dataclass(frozen=True)
class Verdict:
    """A target and what was measured; None where nothing was."""

    target: Target
    measured: float | None

    @property
    def reached(self) -> bool | None:
        """Whether the bound is kept; None where nothing was measured."""
        if self.measured is None:
            return None
        bound = self.target.bound
        return self.measured >= bound if self.target.at_least else self.measured <= bound

    def cells(self) -> list[str]:
        """Return the verdict as a row of text."""
        sign = "≥" if self.target.at_least else "≤"
        measured = (
            "not measured here" if self.measured is None else self._rounded_away(self.measured)
        )
        answer = {True: "yes", False: "**no**", None: ""}[self.reached]
        return [self.target.what, measured, f"{sign} {self.target.bound:,g}", answer]

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict at full precision."""
        target = self.target
        return {
            "what": target.what,
            "place": "/".join(target.place),
            "measured": self.measured,
            "bound": target.bound,
            "at_least": target.at_least,
            "reached": self.reached,
        }

    def _rounded_away(self, value: float) -> str:
        """Three decimals, or whole numbers above 1,000; never nearer to the target than it is."""
        decimals = 0 if abs(value) >= 1000 else 3
        away = math.floor if self.target.at_least else math.ceil
        return f"{away(value * 10**decimals) / 10**decimals:,.{decimals}f}"


def judge(measurements: Mapping[Place, Spread]) -> list[Verdict]:
    """Compare every target with the medians found."""
    verdicts = []
    for target in TARGETS:
        value = measurements.get(target.place)
        verdicts.append(Verdict(target, None if value is None else value.median))
    return verdicts


def _step_targets() -> list[Target]:
    """A transformer costs little over its own classifier and over the table's row alike.

    Both are asked for, because a classifier that is slow by itself would flatter its transformer.
    """
    return [
        Target(
            f"ST-CNN {name} step / CNN step, both ours, R, {cnn}",
            ("steps", f"st_cnn_{transform}/mnist_r", column),
            bound,
        )
        for name, transform, bound in (("affine", "affine", 1.3), ("TPS", "tps", 1.4))
        for cnn, column in (
            ("the CNN behind it", "/ same classifier"),
            ("the table's CNN", "/ row"),
        )
    ]


def _layer_targets() -> list[Target]:
    """The bare layer is never slower; thin plate spline and projective take half of kornia's."""
    cases = {"first": "first layer, 28 px", "first_42": "first layer, 42 px", "inside": "inside"}
    targets = []
    for transform in ("affine", "projective", "tps"):
        for case, where in cases.items():
            for other in ("plain torch", "kornia"):
                half = other == "kornia" and transform != "affine"
                place = "layers", f"{transform}/{case}", f"ours / {other}"
                what = f"{transform} layer forward and backward, ours / {other}, {where}"
                targets.append(Target(what, place, 0.5 if half else 1.0))
    return targets


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
    *_step_targets(),
    *_layer_targets(),
    Target("distortion R, images/s", ("distortions", "mnist_r", "images/s"), 150_000, True),
    Target("distortion P, images/s", ("distortions", "mnist_p", "images/s"), 80_000, True),
    Target("distortion E, images/s", ("distortions", "mnist_e", "images/s"), 80_000, True),
    Target("Lightning loop / bare loop, CNN", ("loop", "cnn", "Lightning / bare"), 1.05),
    Target("Lightning loop / bare loop, FCN", ("loop", "fcn", "Lightning / bare"), 1.5),
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
    # Whole trainings: `make reproduce-table1` and the records under `results/` show these.
    Target("Table 1, R RTS P E, quick, one seed, 2 cores, minutes", ("runs", "table1", "min"), 25),
    Target("ST-CNN affine on R to 0.7 %, one core, minutes", ("runs", "st_cnn_r", "min"), 10),
    Target("ST-CNN affine on RTS to 0.5 %, one core, minutes", ("runs", "st_cnn_rts", "min"), 20),
]
