"""What networks of finished runs answer on their test sets, with their best and worst images."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from PIL import Image
from torch import Tensor, nn

from stn.drawing.tiles import table_of, tile
from stn.drawing.volumes import three_views
from stn.drawing.warps import warp
from stn.files.scrubbing import scrub
from stn.inspecting.looks import at_images
from stn.running.preparing import Cell, build_data
from stn.running.restoring import restore
from stn.tasks.house_numbers import NONE, written

SIDE_PX, MARGIN_PX, GAP_PX = 84, 24, 4
NUM_SHOWN = 6  # images of each kind
MAX_MATRIX = 20  # classes; of more the most frequent mistakes are listed

Picture = TypeVar("Picture")  # what is made of a drawing and its caption
Encode = Callable[[Image.Image, str], Picture]


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, and the network it is compared with, by name and folder."""

    folder: Path
    baseline: tuple[str, Path] | None


@dataclass(frozen=True)
class Answers(Generic[Picture]):
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


def images_and_classes(data: Any) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the test set of a data module in batches: U (B, ...), classes (B,) or (B, heads).

    Raises:
        OSError: the data are not there.
        ValueError: they are not usable, or an image has no class.
    """
    data.prepare_data()
    for batch in data.test_dataloader():
        U, targets = data.on_after_batch_transfer(batch, 0)
        if not isinstance(targets, Tensor) or targets.ndim > 2 or targets.is_floating_point():
            raise ValueError("pictures are of images that have classes")
        yield U, targets


def answers_of(
    runs: Sequence[Run], encode: Encode[Picture], data_dir: str, packages: Sequence[str] = ()
) -> dict[Run, Answers[Picture] | str]:
    """Let networks answer on their test sets, each once; return what was seen, or why not.

    Args:
        runs: such as those of a table's column.
        encode: makes a picture of a drawing and its caption.
        data_dir: where the data are.
        packages: whose classes may be built besides this project's.
    """
    found: dict[Path, Answers[Picture] | str] = {}
    groups: dict[str, tuple[Cell, dict[Path, nn.Module]]] = {}  # by the data
    rivals = {run.folder: run.baseline for run in runs}
    for folder in dict.fromkeys([*rivals, *(rival[1] for rival in rivals.values() if rival)]):
        try:
            cell, task = restore(folder, data_dir, packages)
        except (OSError, ValueError) as error:
            found[folder] = scrub(f"{type(error).__name__}: {error}")
        else:
            same = json.dumps([cell.config["data"], cell.config["seed"]], sort_keys=True)
            groups.setdefault(same, (cell, {}))[1][folder] = task.network.eval()
    for cell, networks in groups.values():
        try:
            found |= _answered(build_data(cell), networks, rivals, encode)
        except (OSError, ValueError) as error:
            found |= dict.fromkeys(networks, scrub(f"{type(error).__name__}: {error}"))
    return {run: found[run.folder] for run in runs}


@torch.no_grad()
def _answered(
    data: Any,
    networks: Mapping[Path, nn.Module],
    rivals: Mapping[Path, tuple[str, Path] | None],
    encode: Encode[Picture],
) -> dict[Path, Answers[Picture]]:
    """Run networks on a test set, all in one pass over it, and see what they answer."""
    labels: list[Tensor] = []
    given: dict[Path, list[Tensor]] = {folder: [] for folder in networks}
    for U, targets in images_and_classes(data):
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
        draw = partial(_drawn, network, data, encode)
        found[folder] = _judged(draw, every, known[folder], rival)
    return found


def _judged(
    draw: Callable[[Tensor, list[str]], tuple[Picture, ...]],
    labels: Tensor,
    given: Tensor,
    rival: tuple[str, Tensor] | None,
) -> Answers[Picture]:
    """See what a network answers.

    Args:
        draw: makes pictures of images, by their numbers (M,) and captions.
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
        captions = [f"#{i} is {written(labels[i])}: {words(i)}" for i in numbers.tolist()]
        return draw(numbers, captions)

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
    return Answers(
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


def _drawn(
    network: nn.Module, data: Any, encode: Encode[Picture], numbers: Tensor, captions: list[str]
) -> tuple[Picture, ...]:
    """Draw test images, below each where transformers of the image look, and what they hand on."""
    if not captions:
        return ()
    U = data.drawn("test", numbers)[0]
    warps = [warp(t, U, theta) for t, theta in at_images(network, U)]
    if warps:
        columns = [
            [[t] for i, w in enumerate(warps) for t in w.tiles(n, SIDE_PX, MARGIN_PX)[bool(i) :]]
            for n in range(len(U))
        ]
        images = [table_of(column, GAP_PX) for column in columns]
    else:
        images = [tile(image, SIDE_PX) for image in (three_views(U) if U.ndim == 5 else U)]
    return tuple(encode(*one) for one in zip(images, captions, strict=True))
