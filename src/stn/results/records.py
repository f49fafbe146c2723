"""The record of one run: `result.json`, written last, so that its presence means "done".

A record is valid by construction: making one with a field out of range, or a failed one with a
number, raises `RecordError`. Reading goes through the same checks, hence a damaged file is named
and never becomes a wrong number.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from stn.files.atomic import write_atomically
from stn.files.regular import regular
from stn.files.run_files import RESULT
from stn.files.scrubbing import scrub
from stn.results.checks import (
    Checked,
    Count,
    Json,
    Line,
    Message,
    Name,
    Positive,
    out_of_range,
    reason,
    shown,
)

SCHEMA = 2
# Metrics that stand beside the others in result.json, too, where those who read it look for them.
AT_TOP = ("test_error_percent", "val_error_percent")
MAX_CORES = 1024  # of the largest machine a cell is run on: no run takes more processor time
WHOLE = 1e-3  # how far a number of images may be from a whole one, by rounding
ROUNDING_S = 2.0  # both times are whole seconds; wall_s is taken a moment before the end
YEARS = range(2015, 2101)


class RecordError(ValueError):
    """A record that cannot be believed: says which file and which field, and why."""


class NewerRecordError(RecordError):
    """A record that a newer version of this package wrote: it may be right, and is left alone."""


NEWER = (
    "is of a newer version of this package, and is left alone: use that, or another STN_RUNS_DIR"
)


def _timestamp(value: str) -> str:
    """Allow ISO 8601 in UTC, such as 2015-06-05T12:00:00+00:00, of a year that can be."""
    parsed = datetime.fromisoformat(value)
    if parsed.utcoffset() != UTC.utcoffset(None):
        raise ValueError("expected a time in UTC")
    if parsed.year not in YEARS:
        raise ValueError(f"expected a year from {YEARS[0]} to {YEARS[-1]}")
    return value


MetricName = Annotated[str, Field(pattern=r"^(train|val|test)_[A-Za-z0-9_]{1,100}$")]
Duration = Annotated[float, Field(ge=0, le=1e12)]
Timestamp = Annotated[str, AfterValidator(_timestamp)]


class Record(Checked):
    """What one run of one cell gave, what it cost, and what it was made with.

    Attributes:
        run_id: readable name and hash of everything that changes the result.
        transform: None for a network without a transformer.
        metrics: what was measured, by `<split>_<metric>`; of a finished run only.
        num_images: images of each split, as `CellData.count_images` counts them; None if not told.
        data_part: what of the official data was there (`CellData`); None if all, or not told.
        samples: training samples seen, repetitions counted.
        step_ms: mean time of a training step.
        wall_s: time from start to finish of the run, once its data are there.
        cpu_s: processor time of its process in that time; a loaded machine stretches it less.
        config: the resolved configuration.
        code: hash of the source that decides a result (`code.code_id`); None if not told, or
            if the run went on from a checkpoint of other code.
        weights_sha256: of the file with the weights that the run ended with; None if not told.
        git_dirty: files differed from the commit `git_sha`.
        command: reproduces the run.
        started_at, finished_at: ISO 8601, UTC, of the machine's clock when the run, or its last
            resumption, began; the end is so much later as it took. They decide nothing.
        message: why the run failed or diverged.

    Raises:
        RecordError: a field has the wrong type or is out of range, or fields contradict.
    """

    run_id: Name
    status: Literal["finished", "failed", "diverged"]
    task: Name
    model: Name
    transform: Name | None
    data: Name
    recipe: Name
    seed: Count
    metrics: dict[MetricName, float]
    num_test: Positive | None
    num_params: Positive | None
    steps: Count
    samples: Count
    batch_size: Positive
    step_ms: Duration | None
    wall_s: Duration
    config: Json
    git_sha: Annotated[str, Field(pattern=r"^([0-9a-f]{7,64}|unknown)$")]
    git_dirty: bool
    versions: dict[Line, Line]
    data_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None
    device: Line
    command: Line
    started_at: Timestamp
    finished_at: Timestamp
    peak_rss_mib: Duration | None = None
    cpu_s: Duration | None = None
    num_images: dict[Name, Count] | None = None
    data_part: Line | None = None
    code: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")] | None = None
    weights_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    message: Message | None = None

    def __init__(self, /, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise RecordError(reason(error)) from error

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Check what the fields say of each other."""
        for name, value in self.metrics.items():
            if why := out_of_range(name, value):
                raise ValueError(f"metrics.{name}: {why}")
        took = datetime.fromisoformat(self.finished_at) - datetime.fromisoformat(self.started_at)
        if took < timedelta():
            raise ValueError("finished_at: is before started_at")
        if took.total_seconds() > self.wall_s + ROUNDING_S:
            raise ValueError("finished_at: is later than started_at and wall_s say")
        if (self.step_ms or 0) * self.steps / 1000 > self.wall_s + ROUNDING_S:
            raise ValueError("step_ms: the steps took longer than wall_s")
        if self.cpu_s is not None and self.cpu_s > MAX_CORES * (self.wall_s + 1):
            raise ValueError(f"cpu_s: is more than {MAX_CORES} cores have in wall_s")
        recipe = self.config.get("recipe")
        told = recipe if isinstance(recipe, dict) else {}
        if self.batch_size != told.get("batch_size", self.batch_size):
            raise ValueError("batch_size: is not what config says")
        if self.seed != self.config.get("seed", self.seed):
            raise ValueError("seed: is not what config says")
        for field in ("task", "model", "data", "recipe"):
            part = self.config.get(field)
            if isinstance(part, dict) and part.get("name", own := getattr(self, field)) != own:
                raise ValueError(f"{field}: is not what config says")
        network = self.config.get("model")
        if isinstance(network, dict) and network.get("transform", self.transform) != self.transform:
            raise ValueError("transform: is not what config says")
        if self.status == "finished":
            self._check_finished(told)
        elif self.metrics:
            raise ValueError(f"metrics: must be empty in a {self.status} run")
        elif not self.message:
            raise ValueError(f"message: a {self.status} run must say why")
        return self

    def _check_finished(self, recipe: dict[str, Any]) -> None:
        """Check that nothing is missing, and that what was counted is what was asked for."""
        for field in ("num_test", "num_params", "data_sha256"):
            if getattr(self, field) is None:
                raise ValueError(f"{field}: must not be null in a finished run")
        if not any(name.startswith("test_") for name in self.metrics):
            raise ValueError("metrics: a finished run must have one of the test set")
        if self.samples != self.steps * self.batch_size:
            raise ValueError("samples: must be steps x batch_size in a finished run")
        if self.steps != recipe.get("max_steps", self.steps):
            raise ValueError("steps: a finished run must have as many as config says")
        images = {"test": self.num_test, **(self.num_images or {})}
        if images["test"] != self.num_test:
            raise ValueError("num_test: is not what num_images says")
        for split in ("test", "val"):
            wrong = self.metrics.get(f"{split}_error_percent", 0.0) * (images.get(split) or 0) / 100
            if abs(wrong - round(wrong)) > WHOLE:
                raise ValueError(f"metrics.{split}_error_percent: is no share of the images")


def write_record(path: Path | str, record: Record) -> None:
    """Write a record atomically: the file is there as a whole or, whatever happens, not at all.

    Paths below the user's home and the values of secrets are replaced first (`scrub`).
    """
    path = Path(path)
    content = {"schema": SCHEMA, **record.model_dump()}
    content |= {name: record.metrics[name] for name in AT_TOP if name in record.metrics}
    text = json.dumps(scrub(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())


def read_record(path: Path | str) -> Record:
    """Read and check a record.

    Raises:
        FileNotFoundError: there is no such file.
        NewerRecordError: it is of a schema, or has a key, that this version does not know.
        RecordError: the file cannot be read, or is not a record; names the file and the field.
    """
    try:
        content = _parse(regular(Path(path)).read_bytes())
        schema = content.pop("schema", None)
        if type(schema) is int and schema > SCHEMA and "run_id" in content:
            raise NewerRecordError(f"schema {schema} {NEWER}")
        if schema != SCHEMA or type(schema) is not int:
            raise RecordError(f"schema: expected {SCHEMA}, found {shown(schema)}")
        at_top = {name: content.pop(name, None) for name in AT_TOP}
        record = Record(**{key: content[key] for key in content if key in Record.model_fields})
        if unknown := sorted(content.keys() - Record.model_fields.keys()):
            raise NewerRecordError(f"{shown(unknown[0])}: there is no such key; it {NEWER}")
        for name, value in at_top.items():
            if value != record.metrics.get(name) or isinstance(value, bool):
                raise RecordError(f"{name}: {shown(value)} is not what metrics say")
        return record
    except FileNotFoundError:
        raise
    except NewerRecordError as error:
        raise NewerRecordError(f"{path}: {error}") from error
    except OSError as error:  # which names the file itself
        raise RecordError(f"{path}: {error.strerror}") from error
    except RecordError as error:
        raise RecordError(f"{path}: {error}") from error


def read_record_of(folder: Path) -> Record:
    """Read and check the record of the run whose folder this is, which is named by its `run_id`.

    Raises:
        FileNotFoundError: there is none.
        RecordError: as in `read_record`, or it is the record of another run.
    """
    record = read_record(folder / RESULT)
    if record.run_id != folder.name:
        raise RecordError(f"{folder / RESULT}: holds the record of another run, {record.run_id}")
    return record


def _parse(raw: bytes) -> dict[str, Any]:
    """Parse JSON without a key twice, whose outermost value is an object."""
    if not raw.strip():
        raise RecordError("is empty")
    try:
        content = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique_keys)
    except RecordError:
        raise
    except (ValueError, RecursionError) as error:  # also UnicodeDecodeError, JSONDecodeError
        raise RecordError(f"is not JSON, or only a part of it: {error}") from error
    if not isinstance(content, dict):
        raise RecordError(f"is a JSON {type(content).__name__}, not a record")
    return content


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise RecordError(f"{twice!r}: is there twice")
    return content
