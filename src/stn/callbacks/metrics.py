"""`metrics.csv`: every logged number of a run, one row each, appended as it comes."""

import csv
import io
import os
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from stn.files.atomic import append
from stn.files.regular import regular

HEADER = ("step", "metric", "value")


class MetricsFile(Logger, Callback):
    """Logs to a CSV file in long form that survives a kill and continues where a checkpoint was.

    The length of the file is part of the checkpoint. Rows written after the checkpoint that a run
    resumes from are cut off: the file of a resumed run equals that of an uninterrupted one.

    Args:
        path: the file; begun anew unless a checkpoint is loaded.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._resumed = False

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.parent.name

    @property
    def version(self) -> str:
        """There is one file a run."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Do nothing: `config.yaml` holds them."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Append a row for each metric."""
        rows = [(step, name, value) for name, value in metrics.items()]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        append(self.path, text.getvalue())

    def rows(self) -> list[tuple[int, str, float]]:
        """Return the rows there are: step, metric and value.

        Raises:
            OSError: there are none that can be read.
            ValueError: the file is damaged.
        """
        try:
            with regular(self.path).open(newline="", encoding="utf-8") as file:
                _, *rows = csv.reader(file)
            return [(int(step), name, float(value)) for step, name, value in rows]
        except (ValueError, csv.Error) as error:
            raise ValueError(f"{self.path} is damaged: {error}") from error

    @rank_zero_only
    def on_fit_start(self, *args: Any) -> None:
        """Begin the file, unless this run continues an older one."""
        if not self._resumed:
            regular(self.path).write_text(",".join(HEADER) + "\n")

    def state_dict(self) -> dict[str, int]:
        """Return the length of the file, which is on the disk before the checkpoint is."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
            return {"num_bytes": file.seek(0, os.SEEK_END)}

    def lacks(self, checkpoint: dict[str, Any]) -> str | None:
        """Tell whether something took away rows that were there at a checkpoint; name the file."""
        num_bytes = checkpoint["callbacks"].get(self.state_key, {}).get("num_bytes", 0)
        found = self.path.stat().st_size if self.path.exists() else 0
        return None if found >= num_bytes else f"{self.path} lacks rows of the checkpoint"

    @rank_zero_only
    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Cut the file to the length it had at the checkpoint, which it does not lack rows of."""
        with self.path.open("ab") as file:
            file.truncate(state_dict["num_bytes"])
        self._resumed = True
