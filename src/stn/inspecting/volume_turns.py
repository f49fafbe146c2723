"""How the transformer of a network turns volumes: can their projections be read? (Appendix A.3)."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from matplotlib.figure import Figure
from scipy import stats
from torch import Tensor, nn

from stn.data.volumes import Solids
from stn.drawing.volumes import three_views
from stn.drawing.warps import at_work
from stn.inspecting.intervals import mean
from stn.transformers import Affine3d, affine_grid, sample

BATCH = 50


@dataclass(frozen=True)
class Turns:
    """How solids stand to whoever looks along z.

    Attributes:
        tilt_deg: (N,), angle between the line of sight and the axis of the digit.
        turn_deg: (N,), by how much the digit is turned in the image, from x to y.
        is_mirrored: (N,), whether it is seen from behind.
        agreement: (N,), correlation of the volume's projection with the digit itself, as large and
            as turned, at the place where it is seen.
        depth: (N,), of what is summed, relative to the volume's: near 0 where a slice is read, of
            which the angles of the line of sight say nothing.
    """

    tilt_deg: Tensor
    turn_deg: Tensor
    is_mirrored: Tensor
    agreement: Tensor
    depth: Tensor


def turns(V: Tensor, A: Tensor, solids: Solids) -> Turns:
    """Measure volumes V (B, 1, D, H, W) that show these solids.

    Args:
        V: the volumes.
        A: where they are read in the volumes that hold the solids: matrices (B, 3, 4).
        solids: what was in those.
    """
    corner = torch.tensor([0.0, 0, 0, 1]).expand(len(A), 1, 4)
    to_body = solids.poses @ torch.cat([A, corner], dim=1)  # from V to the digit, (B, 3, 4)
    body = (torch.tensor(solids.body_px) - 1) / 2
    sides = (torch.tensor(V.shape[:1:-1]) - 1) / 2
    sight = to_body[:, :, 2] * body  # in voxels of the digit
    tilt = torch.atan2(sight[:, :2].norm(dim=1), sight[:, 2].abs())
    of_image = to_body[:, :2, :2] * body[:2, None] / sides[:2]  # from pixels to the digit's
    a, b, c, d = of_image.flatten(1).unbind(1)
    middle = -torch.linalg.pinv(to_body[:, :, :3]) @ to_body[:, :, 3:]  # of the digit, in V
    flat = torch.cat(
        [to_body[:, :2, :2], to_body[:, :2, 2:3] * middle[:, 2:] + to_body[:, :2, 3:]], 2
    )
    seen = sample(solids.digits, affine_grid(flat, (V.shape[3], V.shape[4])))
    turn, is_mirrored = torch.atan2(b - c, a + d), a * d - b * c < 0
    views = V.sum(dim=2).flatten(1), seen.flatten(1)
    shown, known = (view - view.mean(dim=1, keepdim=True) for view in views)
    return Turns(
        torch.rad2deg(tilt),
        torch.rad2deg(turn),
        is_mirrored,
        (shown * known).sum(dim=1) / (shown.norm(dim=1) * known.norm(dim=1)).clamp(min=1e-12),
        A[:, :, 2].norm(dim=1),
    )


@torch.no_grad()
def before_and_after(network: nn.Module, data: Any, split: str) -> tuple[Turns, Turns]:
    """Measure what a network is given of a split, and what its transformer makes of it.

    Raises:
        ValueError: it has not one transformer, an affine one of volumes.
    """
    before, after = [], []
    for numbers in data.order(split).split(BATCH):
        U, _ = data.drawn(split, numbers)
        V, A = _warped(network.eval(), U)
        solids = data.solids(split, numbers)
        before.append(turns(U, torch.eye(3, 4).expand(len(U), 3, 4), solids))
        after.append(turns(V, A, solids))
    return _joined(before), _joined(after)


def report_turns(run_id: str, network: nn.Module, data: Any, num: int) -> tuple[str, Figure]:
    """Say how a network turns the test volumes, and draw some of them.

    Returns:
        A page of Markdown, and a figure.

    Raises:
        ValueError: the network has not one transformer, an affine one of volumes.
    """
    before, after = before_and_after(network, data, "test")
    lines = [
        f"# How {run_id} turns volumes",
        "",
        f"{len(before.tilt_deg):,} test volumes; 95 % intervals. The agreement is the correlation"
        " of a projection with the digit itself, shown as large, at its place and turned alike.",
        "",
        "| | as given | behind the transformer |",
        "|-|-|-|",
        _row("angle between the line of sight and the digit's axis", "°", mean, before, after,
             lambda t: t.tilt_deg),
        _row("agreement of the projection with the upright digit", "", mean, before, after,
             lambda t: t.agreement),
        _row("depth that is summed, relative to the volume's", "", mean, before, after,
             lambda t: t.depth),
        _row("turn in the image: spread about the mean pose", "°", _spread, before, after,
             lambda t: t.turn_deg[~t.is_mirrored]),
        _row("seen from behind", " %", mean, before, after, lambda t: 100.0 * t.is_mirrored),
    ]  # fmt: skip
    return "\n".join(lines) + "\n", _draw(network, data, num)


def _row(
    name: str,
    unit: str,
    words: Callable[[Tensor], str],
    before: Turns,
    after: Turns,
    part: Callable[[Turns], Tensor],
) -> str:
    return f"| {name} | {words(part(before))}{unit} | {words(part(after))}{unit} |"


def _spread(angles_deg: Tensor) -> str:
    """The circular standard deviation."""
    if not len(angles_deg):
        return "–"
    return f"{float(stats.circstd(angles_deg.numpy(), high=180, low=-180)):.1f}"


def _warped(network: nn.Module, U: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the network's transformer makes of U, and its matrices (B, 3, 4)."""
    found = at_work(network, U)
    if len(found) != 1 or not isinstance(found[0][0].transform, Affine3d):
        raise ValueError("the network has not one transformer, an affine one of volumes")
    transformer, _, theta = found[0]
    return transformer.warp(U, theta), found[0][0].transform.matrix(theta)


def _joined(parts: list[Turns]) -> Turns:
    return Turns(*(torch.cat([getattr(p, f.name) for p in parts]) for f in fields(Turns)))


@torch.no_grad()
def _draw(network: nn.Module, data: Any, num: int) -> Figure:
    """Draw test volumes in three views, before and after, and what is answered."""
    numbers = data.order("test")[:: max(1, len(data.order("test")) // num)][:num]
    U, labels = data.drawn("test", numbers)
    answers = network(U).softmax(dim=1).max(dim=1)
    V, A = _warped(network, U)
    solids = data.solids("test", numbers)
    found = [turns(U, torch.eye(3, 4).expand(len(U), 3, 4), solids), turns(V, A, solids)]
    columns = min(8, len(U))
    rows = -(-len(U) // columns)
    figure = Figure(figsize=(1.6 * columns, 3.7 * rows), layout="constrained")
    all_axes = figure.subplots(2 * rows, columns, squeeze=False)
    for axes in all_axes.flat:
        axes.axis("off")
    for i in range(len(U)):
        pair = all_axes[2 * (i // columns) : 2 * (i // columns) + 2, i % columns]
        words = f"{labels[i]}: {answers.indices[i]}, {100 * answers.values[i]:.0f} %\n"
        for axes, volume, how in zip(pair, (U[i], V[i]), found, strict=True):
            axes.imshow(three_views(volume[None])[0, 0].numpy(), cmap="gray", vmin=0, vmax=1)
            axes.set_title(f"{words}tilt {how.tilt_deg[i]:.0f}°", fontsize=7)
            words = ""
    return figure
