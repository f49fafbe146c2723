"""Finds the records of a folder tree, and copies them for committing."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from stn.files.run_files import PANELS, RESULT
from stn.results.records import (
    Record,
    RecordError,
    read_record,
    read_record_of,
    write_record,
)

RUN_ID_FILE = re.compile(r".+-[0-9a-f]{10}\.json")
NOT_RECORDS = {"wandb", "checkpoints", PANELS, "__pycache__"}


@dataclass(frozen=True)
class Collection:
    """The records of a tree, ordered by run and each run once; and what could not be read, why."""

    records: tuple[Record, ...]
    problems: Mapping[Path, str]


def collect(source: Path | str) -> Collection:
    """Read all records below a folder: of runs (`<run>/result.json`) or of `export`.

    A folder that does not exist has none. The outcome does not depend on the order of the files.
    Of copies of a record, those of which some have more metrics than others are one with all.
    """
    found: dict[str, tuple[Record, Path]] = {}
    problems = {}
    for path in sorted(_candidates(Path(source))):
        try:
            record = read_record_of(path.parent) if path.name == RESULT else read_record(path)
        except RecordError as error:
            problems[path] = str(error).removeprefix(f"{path}: ")
            continue
        except FileNotFoundError:  # removed since it was listed
            continue
        if path.name not in (RESULT, f"{record.run_id}.json"):
            problems[path] = f"holds the record of another run, {record.run_id}"
            continue
        first, at = found.setdefault(record.run_id, (record, path))
        metrics = {"metrics": record.metrics | first.metrics}
        if first.model_copy(update=metrics) == record.model_copy(update=metrics) and (
            record.metrics.items() <= metrics["metrics"].items()  # common ones are the same
        ):
            found[record.run_id] = first.model_copy(update=metrics), at
        else:
            problems[path] = f"differs from {at}, which is the same run"
    return Collection(tuple(found[run][0] for run in sorted(found)), problems)


def export(records: Iterable[Record], folder: Path | str) -> list[Path]:
    """Write the finished ones among records as `<folder>/<run_id>.json`; return their paths."""
    paths = []
    for record in records:
        if record.status == "finished":
            paths.append(Path(folder) / f"{record.run_id}.json")
            write_record(paths[-1], record)
    return paths


def _candidates(source: Path) -> Iterator[Path]:
    """Yield the files that are records by their place: not the other JSON that a run leaves."""
    for folder, subfolders, files in os.walk(source):
        subfolders[:] = [n for n in subfolders if not n.startswith(".") and n not in NOT_RECORDS]
        at_top = Path(folder) == source and RESULT not in files
        for name in (*files, *({RESULT} & {*subfolders})):
            is_loose = at_top and name.endswith(".json") and not name.startswith(".")
            if name == RESULT or RUN_ID_FILE.fullmatch(name) or is_loose:
                yield Path(folder) / name
