"""All studies in one figure: what each row measures relative to its baseline."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from stn.results.cost_figure import COLOURS
from stn.results.study import BUDGET, Study


class Relative(NamedTuple):
    """A row in a column, relative to its baseline there.

    Attributes:
        value: quotient of the means over seeds.
        interval: its 95 % interval, without the baseline's own; None below three seeds.
    """

    value: float
    interval: tuple[float, float] | None


def relatives(study: Study, path: Path) -> dict[str, list[Relative]]:
    """Return, by row, what the committed rendering of a study (CSV) has beside a baseline.

    Args:
        study: as planned; rows come in its order.
        path: of the rendering, which need not be there.
    """
    lines = [*csv.DictReader(path.open(encoding="utf-8"))] if path.exists() else []
    means = {(line["row"], line["column"]): line["mean"] for line in lines}
    found: dict[str, list[Relative]] = {row.key: [] for row in study.rows}
    for line in lines:
        base = means.get((line["baseline"], line["column"]))
        if not base or not line["mean"] or float(base) == 0:
            continue
        ends = [line["interval_low"], line["interval_high"]]
        low, high = (float(end or line["mean"]) / float(base) for end in ends)
        interval = (low, high) if all(ends) else None
        found[line["row"]].append(Relative(float(line["mean"]) / float(base), interval))
    return {key: values for key, values in found.items() if values}


def draw_studies(studies: Sequence[Study], results: Path) -> Figure | None:
    """Draw a line a row, study after study; a mark a column, with its interval where there is one.

    Args:
        studies: as planned.
        results: the folder of the committed renderings.
    """
    found: Mapping[str, Mapping[str, Sequence[Relative]]] = {
        study.name: relatives(study, results / study.page / BUDGET / f"{study.page}.csv")
        for study in studies
    }
    shown = [study for study in studies if found[study.name]]
    if not shown:
        return None
    num = sum(len(found[study.name]) + 1 for study in shown)
    figure = Figure(figsize=(8, 1.2 + 0.19 * num), layout="constrained", dpi=110)
    axes = figure.subplots()
    axes.axvline(1, color="grey", linestyle=":")
    labels, line = [], 0
    for study, colour in zip(shown, COLOURS * len(shown), strict=False):
        unit = study.metric.label + ", more is better" * (study.metric.better == "higher")
        labels.append(f"{study.title.upper()} ({unit})")
        for key, values in found[study.name].items():
            line += 1
            row = study.row(key)
            labels.append(f"{row.label} / {study.row(str(row.baseline)).label}")
            for i, relative in enumerate(values):
                place = line + 0.5 * ((i + 0.5) / len(values) - 0.5)
                axes.plot(relative.value, place, "o", color=colour, markersize=3)
                if relative.interval is not None:
                    axes.plot(relative.interval, [place, place], color=colour, alpha=0.5)
        line += 1
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.tick_params(axis="x", which="both", labelsize=7)
    axes.set_xlabel("relative to the baseline, a mark a column")
    axes.grid(axis="x", which="both", alpha=0.25)
    return figure
