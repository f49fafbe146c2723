"""Where the transformers of a finished run look, and where things are, in words and a figure."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from scipy import stats
from torch import Tensor

from stn.data.contract import Places
from stn.data.randomness import stream
from stn.drawing.crops import crop_sheet, mean_crop_sheet
from stn.files.atomic import write_atomically
from stn.files.figures import write_figure
from stn.inspecting.intervals import mean, share
from stn.inspecting.looks import Looks, facings, look
from stn.inspecting.volume_turns import report_turns
from stn.running.preparing import build_data, build_task
from stn.running.restoring import restore
from stn.tasks.house_numbers import written


class NoPlacesError(ValueError):
    """The data of a run do not say where things are."""


def write_looks(
    folder: Path, data_dir: Path, packages: Sequence[str], num_images: int, out: Path
) -> tuple[str, list[Path]]:
    """Write `<out>/<run_id>_looks.md` and figures beside it, as PNG and SVG; return page and paths.

    Raises:
        OSError, ValueError: as `report_looks`.
    """
    page, figures = report_looks(folder, data_dir, packages, num_images)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{folder.resolve().name}_looks.md"
    write_atomically(path, page.encode())
    drawn = [
        write_figure(figure, path.with_name(f"{path.stem}{name}"))
        for name, figure in figures.items()
    ]
    return page, [path, *chain(*drawn)]


def report_looks(
    folder: Path, data_dir: Path, packages: Sequence[str], num_images: int
) -> tuple[str, dict[str, Figure]]:
    """Say and draw where the transformers of a finished run look on the test images.

    Of a run on volumes: how it turns them (`stn.inspecting.volume_turns`).

    Returns:
        A page of Markdown; and figures, by what is added to the page's name: of images, and where
        these show things of several parts, of the mean crop on the mean thing.

    Raises:
        OSError, ValueError: the run is not finished, its data do not say where things are, or it
            has no affine transformers.
    """
    cell, task = restore(folder, data_dir, packages, fast=False)
    data = build_data(cell)
    if hasattr(data, "solids"):
        page, figure = report_turns(cell.run_id, task.network, data, num_images)
        return page, {"": figure}
    if not hasattr(data, "places"):
        raise NoPlacesError(f"{cell.config['data']['name']} does not say where things are")
    places: Places = data.places("test")
    after = look(task.network, data, "test")
    before = look(build_task(cell).network, data, "test")
    lines = [f"# Where {cell.run_id} looks", ""]
    lines += [f"{len(places.boxes):,} test images; 95 % intervals; an image is 2 wide.", ""]
    lines += _crops(before, after, places) + _parts(before, after, places)
    heading = f"{cell.run_id}: what is read; above, what is right: the answer, how sure it is"
    figures = {"": _sheet(after, data, num_images, heading)}
    if len(places.names) > 2:
        ways = zip(facings(before, places), facings(after, places), strict=True)
        drawn = [(b.points, a.edges, b.edges) for a, b in ways if b.edges.shape[1]]
        figures["_mean"] = mean_crop_sheet(places.names, drawn, f"{cell.run_id}: the mean crop")
        page = f"{cell.run_id}_looks_mean.png"
        lines += [f"The mean crop over the mean places of parts: [{page}]({page}).", ""]
    return "\n".join(lines) + "\n", figures


def _crops(before: Looks, after: Looks, places: Places) -> list[str]:
    """Say how large the crops are, and how much of the box they hold, before training and after."""
    lines = ["| transformer | scale | box in the crop, % | scale against the box's: slope | r |"]
    lines += ["|-|-|-|-|-|"]
    sizes = places.sizes
    if sizes is None:
        sizes = (places.boxes[:, 2:] - places.boxes[:, :2]).prod(dim=1).sqrt() / 2
    sides = sizes.numpy()
    covered = [100 * looks.covered(places.boxes) for looks in (before, after)]
    for t in range(len(after.A)):
        cells = [f"{t + 1}", _change(before.scales()[t], after.scales()[t])]
        cells.append(_change(covered[0][t], covered[1][t]))
        scales = after.scales()[t].numpy()
        if sides.std() > 1e-6 and scales.std() > 1e-6:
            fit = stats.linregress(sides, scales)
            error = stats.t.ppf(0.975, len(sides) - 2) * fit.stderr
            cells += [f"{fit.slope:.3f} ± {error:.3f}", f"{fit.rvalue:.2f}"]
        else:
            cells += ["–", "–"]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _parts(before: Looks, after: Looks, places: Places) -> list[str]:
    """Say how often each crop holds each part, and how far its middle is from it."""
    alone = [(name, (name,)) for name in places.names]
    lines = [
        "How often a part that is visible lies in a crop, in percent of the images, and how far",
        "the crop's middle is from it. Of several parts together: the share that lies in the crop,",
        "and the mean distance. Differences are of the same images: from before training, and from",
        "crops as large at random places.",
        "",
    ]
    for t in range(len(after.A)):
        compared = (after, before, _random_like(after, t))
        held = [looks.contains(places.points)[t].float() * 100 for looks in compared]
        far = [looks.distances(places.points)[t] for looks in compared]
        lines += [f"## Transformer {t + 1}", ""]
        lines += [
            "| part | n | in the crop, % | − before | − random | distance | − before | − random |"
        ]
        lines += ["|-|-|-|-|-|-|-|-|"]
        for name, members in (*places.groups, *alone):
            held_of, far_of = ([_of(v, places, members) for v in values] for values in (held, far))
            first = share(held_of[0] > 50) if members == (name,) else mean(held_of[0])
            cells = [name, str(len(held_of[0])), first]
            cells += [mean(held_of[0] - other) for other in held_of[1:]]
            cells += [mean(far_of[0]), *(mean(far_of[0] - other) for other in far_of[1:])]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return lines


def _of(values: Tensor, places: Places, names: Sequence[str]) -> Tensor:
    """Return the means over some parts that are visible, of the images (N, K) that show one."""
    members = [places.names.index(name) for name in names]
    seen = places.is_seen[:, members].float()
    shows = seen.sum(dim=1) > 0
    return ((values[:, members] * seen).sum(dim=1) / seen.sum(dim=1))[shows]


def _random_like(looks: Looks, t: int) -> Looks:
    """Return crops of a transformer's sizes, anywhere in the image."""
    scale = looks.scales()[t].clamp(max=1)
    generator = torch.Generator().manual_seed(stream(0, "random crops") % 2**63)
    A = torch.eye(3).repeat(len(scale), 1, 1)
    A[:, 0, 0] = A[:, 1, 1] = scale
    free = 1 - scale[:, None]
    A[:, :2, 2] = (2 * torch.rand(len(scale), 2, generator=generator) - 1) * free
    return Looks(A.expand(len(looks.A), -1, -1, -1), looks.outputs)


def _change(before: Tensor, after: Tensor) -> str:
    return f"{mean(before)} → {mean(after)}"


def _sheet(looks: Looks, data: Any, num_images: int, heading: str) -> Figure:
    """Draw some test images with what is read, what is right, what is answered, and how surely."""
    numbers = data.order("test")[:: max(1, len(data.order("test")) // num_images)][:num_images]
    U, targets = data.drawn("test", numbers)
    answers = looks.outputs[numbers].softmax(dim=-1).max(dim=-1)
    titles = [
        f"{written(target)}: {written(answer)}, {100 * chances.prod():.0f} %"
        for target, answer, chances in zip(targets, answers.indices, answers.values, strict=True)
    ]
    return crop_sheet(U, looks.A[:, numbers], titles, heading)
