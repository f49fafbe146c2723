"""The record of one run: `result.json`, written last, so that its presence means "done".

A record is valid by construction: making one with a field out of range, or a failed one with a
test error, raises `RecordError`. Reading goes through the same checks, hence a damaged file is
named and never becomes a wrong number.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from stn.files.atomic import write_atomically
from stn.files.scrubbing import scrub
from stn.results.checks import CHECKS, SCHEMA

RESULT = "result.json"


class RecordError(ValueError):
    """A record that cannot be believed: says which file and which field, and why."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What one run of one cell gave, what it cost, and what it was made with.

    Attributes:
        run_id: readable name and hash of everything that changes the result.
        status: "finished", "failed" or "diverged".
        table: the table whose sweep ran this, if any did.
        transform: None for a network without a transformer.
        test_error_percent: only of a finished run.
        paper_steps: optimiser steps of the paper's schedule; None where the paper gives none.
        samples: training images seen, repetitions counted; `paper_samples` likewise.
        step_ms: mean time of a training step.
        wall_s: time from start to finish of the run.
        cpu_s: processor time of its process in that time; a loaded machine stretches it less.
        config: the resolved configuration.
        code: hash of the source that decides a result (`provenance.code_id`); None if not told, or
            if the run went on from a checkpoint of other code.
        git_dirty: files differed from the commit `git_sha`.
        command: reproduces the run.
        overrides: what was asked beyond model, transform, data, recipe and seed that changes the
            result. Such a run stands in a table only if that table's sweep asked for it.
        started_at, finished_at: ISO 8601, UTC.
        message: why the run failed or diverged.

    Raises:
        RecordError: a field has the wrong type or is out of range, or fields contradict.
    """

    run_id: str
    status: str
    model: str
    transform: str | None
    data: str
    task: str
    recipe: str
    seed: int
    num_test: int | None
    num_params: int | None
    metrics: Mapping[str, float]
    steps: int
    samples: int
    batch_size: int
    step_ms: float | None
    wall_s: float
    config: Mapping[str, Any]
    git_sha: str
    git_dirty: bool
    versions: Mapping[str, str]
    data_sha256: str | None
    device: str
    command: str
    started_at: str
    finished_at: str
    peak_rss_mib: float | None = None
    cpu_s: float | None = None
    code: str | None = None
    message: str | None = None
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        for name, check in CHECKS.items():
            if not hasattr(self, name):
                continue
            if reason := check(getattr(self, name)):
                raise RecordError(f"{name}: {reason}")
        self._check_status()
        if datetime.fromisoformat(self.finished_at) < datetime.fromisoformat(self.started_at):
            raise RecordError("finished_at: is before started_at")

    def _check_status(self) -> None:
        if self.status != "finished":
            if not self.message:
                raise RecordError(f"message: a {self.status} run must say why")
            return
        for name in ("num_test", "num_params", "data_sha256"):
            if getattr(self, name) is None:
                raise RecordError(f"{name}: must not be null in a finished run")


FIELDS = {field.name for field in dataclasses.fields(Record)}
REQUIRED = FIELDS - {
    field.name for field in dataclasses.fields(Record) if field.default is not dataclasses.MISSING
}


def write_record(path: Path | str, record: Record) -> None:
    """Write a record atomically: the file is there as a whole or, whatever happens, not at all.

    Paths below the user's home and the values of secrets are replaced first (`scrub`).
    """
    path = Path(path)
    content = scrub(dataclasses.asdict(record))
    content |= {k: v for k, v in record.metrics.items() if k == "test_error_percent"}
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())


def read_record(path: Path | str) -> Record:
    """Read and check a record.

    Raises:
        FileNotFoundError: there is no such file.
        RecordError: the file cannot be read, or is not a record; names the file and the field.
    """
    try:
        content = _parse(Path(path).read_bytes())
        if missing := sorted(REQUIRED - content.keys()):
            raise RecordError(f"{missing[0]}: is missing")
        if unknown := sorted(content.keys() - FIELDS):
            raise RecordError(f"{unknown[0]!r}: is not a field of a record")
        content.pop("test_error_percent", None)
        if isinstance(content.get("overrides"), list):
            content["overrides"] = tuple(content["overrides"])
        return Record(**content)
    except FileNotFoundError:
        raise
    except (OSError, RecordError) as error:
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


def run_id(name_parts: Iterable[str], identity: Mapping[str, Any]) -> str:
    """Name a run: readable parts, then ten digits of a hash of all that changes its result.

    The order of keys does not matter, nor does the type of a whole number (1 or 1.0).

    Raises:
        ValueError: `identity` holds something that JSON cannot say, such as NaN or an object.
    """
    try:
        canonical = json.dumps(
            _canonical(identity), sort_keys=True, separators=(",", ":"), allow_nan=False
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"the identity of a run must be plain JSON: {error}") from error
    parts = [re.sub(r"[^A-Za-z0-9_.]+", "_", part) for part in name_parts]
    return "-".join([*parts, hashlib.sha256(canonical.encode()).hexdigest()[:10]])


def _canonical(value: Any) -> Any:
    """Return the same value for values that mean the same."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return value


def _parse(raw: bytes) -> dict[str, Any]:
    """Parse strict JSON (no NaN, no key twice) whose outermost value is an object."""
    if not raw.strip():
        raise RecordError("is empty")
    try:
        content = json.loads(
            raw.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_unique_keys
        )
    except RecordError:
        raise
    except (ValueError, RecursionError) as error:  # also UnicodeDecodeError, JSONDecodeError
        raise RecordError(f"is not JSON, or only a part of it: {error}") from error
    if not isinstance(content, dict):
        raise RecordError(f"is a JSON {type(content).__name__}, not a record")
    return content


def _refuse_constant(name: str) -> NoReturn:
    raise RecordError(f"holds {name}, which is no number")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise RecordError(f"{twice!r}: is there twice")
    return content
