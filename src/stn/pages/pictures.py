"""Pictures of a run as data addresses: those it left, and of its test images the best and worst."""

import base64
import io
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from stn.callbacks.panels import read_panel
from stn.drawing.panels import aligned
from stn.drawing.tiles import evenly, table_of, tile
from stn.drawing.volumes import three_views
from stn.drawing.warps import at_work, warp
from stn.files.scrubbing import scrub
from stn.running.preparing import Cell, build_data
from stn.running.restoring import restore
from stn.tasks.house_numbers import NONE, written

SIDE_PX, MARGIN_PX, GAP_PX = 84, 24, 4
NUM_SHOWN = 6  # images of each kind
MAX_MATRIX = 20  # classes; of more the most frequent mistakes are listed
MAX_FRAMES = 6  # of a gallery
QUALITY = 60  # of what is smaller so than without loss, such as photographs


@dataclass(frozen=True)
class Picture:
    """An image of the page: its address, which holds it, its size, and what it shows."""

    address: str
    width: int
    height: int
    caption: str


@dataclass(frozen=True)
class Images:
    """What a network does with its test images.

    Attributes:
        num: of the test set.
        improved: where it finds the right class more likely than its baseline does, most first.
        baseline: name of that network; None if there is none to compare with.
        worst: where it finds the right class least likely.
        classes: their names.
        confusion: how many images of class i it takes for class j, `confusion[i][j]`; house numbers
            count by their digits.
        mistakes: the most frequent ones: class, answer and how many.
    """

    num: int
    improved: tuple[Picture, ...]
    baseline: str | None
    worst: tuple[Picture, ...]
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    mistakes: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, and the network it is compared with, by name and folder."""

    folder: Path
    baseline: tuple[str, Path] | None


def encoded(image: Image.Image, caption: str) -> Picture:
    """Turn an image into WebP in an address, without loss where that is no larger."""
    found = []
    for settings in ({"lossless": True}, {"quality": QUALITY}):
        file = io.BytesIO()
        image.save(file, "WEBP", **settings)
        found.append(file.getvalue())
    text = base64.b64encode(min(found, key=len)).decode()
    return Picture(f"data:image/webp;base64,{text}", *image.size, caption)


def frames(panels: Path) -> list[Path]:
    """Return which pictures of the same images through training are shown, evenly chosen."""
    return evenly(sorted(panels.glob("step_*.png")), MAX_FRAMES)


def gallery(panels: Path) -> list[Picture]:
    """Return the pictures of the same images through training."""
    paths = frames(panels)
    pictures = aligned([read_panel(path)[:2] for path in paths]) if paths else []
    return [
        encoded(picture, f"step {int(path.stem[5:]):,}")
        for path, picture in zip(paths, pictures, strict=True)
    ]


def look_at(
    runs: Mapping[str, Run], data_dir: str, packages: Sequence[str] = ()
) -> dict[str, Images | str]:
    """Let networks answer on their test sets, each once; return what was seen, or why not.

    Args:
        runs: by any name, such as those of a table's column.
        data_dir: where the data are.
        packages: whose classes may be built besides this project's.
    """
    restored: dict[Path, tuple[Cell, nn.Module]] = {}
    failed: dict[Path, str] = {}
    compared = [run.baseline[1] for run in runs.values() if run.baseline]
    for folder in dict.fromkeys([run.folder for run in runs.values()] + compared):
        try:
            cell, task = restore(folder, data_dir, packages)
            restored[folder] = cell, task.network.eval()
        except (OSError, ValueError) as error:
            failed[folder] = scrub(f"{type(error).__name__}: {error}")
    groups: dict[str, list[Path]] = {}
    for folder, (cell, _) in restored.items():
        same = json.dumps([cell.config["data"], cell.config["seed"]], sort_keys=True)
        groups.setdefault(same, []).append(folder)
    found: dict[Path, Images] = {}
    for folders in groups.values():
        rivals = {run.folder: run.baseline for run in runs.values() if run.folder in folders}
        networks = {folder: restored[folder][1] for folder in folders}
        try:
            found |= _answered(build_data(restored[folders[0]][0]), networks, rivals)
        except (OSError, ValueError) as error:
            failed |= dict.fromkeys(folders, scrub(f"{type(error).__name__}: {error}"))
    return {key: found.get(r.folder) or failed[r.folder] for key, r in runs.items()}


@torch.no_grad()
def _answered(
    data: Any, networks: Mapping[Path, nn.Module], rivals: Mapping[Path, tuple[str, Path] | None]
) -> dict[Path, Images]:
    """Run networks on a test set, all in one pass over it, and see what they answer.

    Raises:
        OSError: the data are not there.
        ValueError: they are not usable, or an image has no class.
    """
    data.prepare_data()
    labels: list[Tensor] = []
    given: dict[Path, list[Tensor]] = {folder: [] for folder in networks}
    for batch in data.test_dataloader():
        U, targets = data.on_after_batch_transfer(batch, 0)
        if not isinstance(targets, Tensor) or targets.ndim > 2 or targets.is_floating_point():
            raise ValueError("pictures are of images that have classes")
        labels.append(targets)
        for folder, network in networks.items():
            answers = network(U).softmax(dim=-1)  # (B, classes), or one for each head of a number
            given[folder].append(answers if answers.ndim == 3 else answers[:, None])
    every = torch.cat(labels)
    known = {folder: torch.cat(parts) for folder, parts in given.items()}
    found = {}
    for folder, network in networks.items():
        name, other = rivals.get(folder) or ("", folder)
        rival = (name, known[other]) if name and other in known else None

        def drawn(numbers: Tensor, network: nn.Module = network) -> list[Image.Image]:
            return _drawn(network, data.drawn("test", numbers)[0]) if len(numbers) else []

        found[folder] = _images(drawn, every, known[folder], rival)
    return found


def _images(
    drawn: Callable[[Tensor], list[Image.Image]],
    labels: Tensor,
    given: Tensor,
    rival: tuple[str, Tensor] | None,
) -> Images:
    """See what a network answers.

    Args:
        drawn: draws images by their numbers.
        labels: classes (N,), or digits of house numbers (N, heads).
        given: probabilities (N, heads, classes).
        rival: name and probabilities of the network that it is compared with.
    """
    is_number = labels.ndim == 2
    labels = labels if is_number else labels[:, None]
    classes = tuple("none" if is_number and i == NONE else str(i) for i in range(given.shape[-1]))

    def right(probabilities: Tensor) -> Tensor:
        return probabilities.gather(2, labels[..., None]).prod(dim=1)[:, 0]

    def pictures(numbers: Tensor, words: Callable[[int], str]) -> tuple[Picture, ...]:
        return tuple(
            encoded(image, f"#{i} is {written(labels[i])}: {words(i)}")
            for i, image in zip(numbers.tolist(), drawn(numbers), strict=True)
        )

    ours, (chances, answers) = right(given), given.max(dim=2)
    improved: tuple[Picture, ...] = ()
    if rival is not None:
        name, theirs = rival[0], right(rival[1])
        gains = (ours - theirs).sort(descending=True, stable=True)
        improved = pictures(
            gains.indices[:NUM_SHOWN][gains.values[:NUM_SHOWN] > 0],
            lambda i: f"{_percent(ours[i])} sure of it, {name} {_percent(theirs[i])}",
        )
    worst = pictures(
        ours.argsort(stable=True)[:NUM_SHOWN],
        lambda i: f"taken for {written(answers[i])}, {_percent(chances[i].prod())} sure",
    )
    counts = torch.zeros(len(classes), len(classes), dtype=torch.int64)
    counts.index_put_((labels.flatten(), answers.flatten()), torch.tensor(1), accumulate=True)
    wrong = Counter({(i, j): n for i, row in enumerate(counts.tolist())
                     for j, n in enumerate(row) if i != j and n})  # fmt: skip
    return Images(
        num=len(labels),
        improved=improved,
        baseline=rival[0] if rival else None,
        worst=worst,
        classes=classes,
        confusion=tuple(map(tuple, counts.tolist())) if len(classes) <= MAX_MATRIX else (),
        mistakes=tuple((classes[i], classes[j], n) for (i, j), n in wrong.most_common(10)),
    )


def _percent(chance: Tensor) -> str:
    return f"{100 * float(chance):.0f} %"


def _drawn(network: nn.Module, U: Tensor) -> list[Image.Image]:
    """Draw images, below each where transformers of the image look, and what they hand on."""
    with torch.no_grad():
        warps = [warp(t, maps, theta) for t, maps, theta in at_work(network, U) if maps is U]
    if not warps:
        return [tile(image, SIDE_PX) for image in (three_views(U) if U.ndim == 5 else U)]
    return [
        table_of(
            [[t] for i, w in enumerate(warps) for t in w.tiles(n, SIDE_PX, MARGIN_PX)[bool(i) :]],
            GAP_PX,
        )
        for n in range(len(U))
    ]
