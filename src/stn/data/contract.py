"""What a cell needs of its data module."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch import Tensor


class Places(NamedTuple):
    """Where things are in the images of a split: evaluated with, never trained on.

    Positions are (x, y), -1 and 1 the centres of an image's border pixels.

    Attributes:
        names: of K things, such as the parts of a bird.
        points: (N, K, 2).
        is_seen: (N, K), whether a thing is visible in the image.
        boxes: (N, 4), left, top, right and bottom of what the image shows.
        sizes: (N,), how large that is, to compare scale with; None for the root of the box's share.
        groups: things that belong together, by a name, such as the parts of a bird's head.
    """

    names: tuple[str, ...]
    points: Tensor
    is_seen: Tensor
    boxes: Tensor
    sizes: Tensor | None = None
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()


@runtime_checkable
class CellData(Protocol):
    """A Lightning data module that cells can be trained on.

    It is built with `batch_size`, `seed` and `data_dir` (of the cell) besides what `data.module` in
    its configuration says. After Lightning has moved a batch, and `on_after_batch_transfer` has had
    it, it is (U, targets): U (B, channels, height, width), as `image_size` in `conf/data` says, and
    targets as loss and evaluators of its task want them.

    Every random draw is a function of (seed, purpose, epoch, sample): use `stn.data.randomness`,
    not a generator with a history, or a resumed run will not equal an uninterrupted one. All
    methods work without a trainer, and without `setup` having been called.

    A data module that knows where things are has `places(split) -> Places`, too, and `order(split)`
    and `drawn(split, numbers)` as of `PoolDataModule`: `python -m stn.looks` needs these. One that
    makes do with a part of the official files has `part() -> str | None`, which says what is there,
    if not all is, for the record.
    """

    def prepare_data(self) -> None:
        """Fetch and verify files, in one process, before anything else; raise DataError if not."""

    def setup(self, stage: str | None = None) -> None:
        """Read the files; a second call does nothing."""

    def train_dataloader(self) -> Any:
        """Batches of an epoch; its length is known, and all batches are full."""

    def val_dataloader(self) -> Any:
        """All samples held out of training, the same every time, in the same order."""

    def test_dataloader(self) -> Any:
        """All test samples, the same every time, in the same order."""

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> tuple[Tensor, Any]:
        """Return (U, targets) of a batch, on the device where it now is."""

    def panel_batch(self, num: int) -> tuple[Tensor, Any]:
        """The same `num` validation samples for every picture, or all: (U, targets), on the CPU."""

    def count_images(self) -> dict[str, int]:
        """How many images "train", "val" and "test" have, and parts of them: for the record."""

    def data_sha256(self) -> str:
        """One checksum of all that is read from files."""
