"""Where the transformers of a finished run look, and where things are, in words and a figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from scipy import stats
from torch import Tensor

from stn.data.contract import Places
from stn.data.randomness import stream
from stn.drawing.crops import crop_sheet, mean_crop_sheet
from stn.inspecting.looks import Looks, canonical, look
from stn.inspecting.turns import mean, report_turns
from stn.running.preparing import build_data, build_task
from stn.running.restoring import restore
from stn.tasks.house_numbers import written


def report_looks(
    folder: Path, data_dir: Path, packages: Sequence[str], num_images: int
) -> tuple[str, dict[str, Figure]]:
    """Say and draw where the transformers of a finished run look on the test images.

    Of a run on volumes: how it turns them (`stn.inspecting.turns`).

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
        raise ValueError(f"{cell.config['data']['name']} does not say where things are")
    places: Places = data.places("test")
    after = look(task.network, data, "test")
    before = look(build_task(cell).network, data, "test")
    lines = [f"# Where {cell.run_id} looks", ""]
    lines += [f"{len(places.boxes):,} test images; 95 % intervals; an image is 2 wide.", ""]
    lines += _crops(before, after, places) + _parts(before, after, places)
    heading = f"{cell.run_id}: what is read; above, what is right: the answer, how sure it is"
    figures = {"": _sheet(after, data, num_images, heading)}
    if len(places.names) > 2:
        (points, end), (_, start) = canonical(after, places), canonical(before, places)
        heading = f"{cell.run_id}: the mean crop"
        figures["_mean"] = mean_crop_sheet(places.names, points, start, end, heading)
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
    random = _random_like(after)
    lines = [
        "How often a part that is visible lies in the crop, in percent, and how far the crop's",
        "middle is from it, before training → after; and the same of crops as large as the first",
        "at random places.",
        "",
    ]
    heads = [f"{t + 1}: in the crop | {t + 1}: distance" for t in range(len(after.A))]
    lines += [f"| part | n | {' | '.join(heads)} | random: in the crop | distance |"]
    lines += ["|" + "-|" * (4 + 2 * len(after.A))]
    held = [looks.contains(places.points).float() * 100 for looks in (before, after, random)]
    far = [looks.distances(places.points) for looks in (before, after, random)]
    for k, name in enumerate(places.names):
        seen = places.is_seen[:, k]
        cells = [name, str(int(seen.sum()))]
        for t in range(len(after.A)):
            cells.append(_change(held[0][t, seen, k], held[1][t, seen, k]))
            cells.append(_change(far[0][t, seen, k], far[1][t, seen, k]))
        cells += [mean(held[2][0, seen, k]), mean(far[2][0, seen, k])]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _random_like(looks: Looks) -> Looks:
    """Return crops of the first transformer's sizes, anywhere in the image."""
    scale = looks.scales()[0].clamp(max=1)
    generator = torch.Generator().manual_seed(stream(0, "random crops") % 2**63)
    A = torch.eye(3).repeat(len(scale), 1, 1)
    A[:, 0, 0] = A[:, 1, 1] = scale
    free = 1 - scale[:, None]
    A[:, :2, 2] = (2 * torch.rand(len(scale), 2, generator=generator) - 1) * free
    return Looks(A[None], looks.outputs)


def _change(before: Tensor, after: Tensor) -> str:
    return f"{before.mean():.2f} → {mean(after)}"


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
