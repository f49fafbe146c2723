"""What each field of a record may hold: one check per field, which says what is wrong or nothing.

Kept apart from `records` so that the limits can be read as a table.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

Check = Callable[[Any], str | None]

SCHEMA = 1
STATUSES = ("finished", "failed", "diverged")
MAX_INT = 2**63 - 1
MAX_DEPTH = 50


def optional(check: Check) -> Check:
    """Allow None as well."""
    return lambda value: None if value is None else check(value)


def integer(low: int, high: int = MAX_INT) -> Check:
    """Allow whole numbers from `low` to `high`; a bool is none."""

    def check(value: Any) -> str | None:
        if not isinstance(value, int) or isinstance(value, bool):
            return f"expected a whole number, found {shown(value)}"
        return None if low <= value <= high else f"{shown(value)} is not in [{low}, {high}]"

    return check


def number(low: float, high: float) -> Check:
    """Allow finite numbers from `low` to `high`."""

    def check(value: Any) -> str | None:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return f"expected a number, found {shown(value)}"
        return None if low <= value <= high else f"{shown(value)} is not in [{low:g}, {high:g}]"

    return check


def string(pattern: str, meaning: str) -> Check:
    """Allow strings that match the whole of `pattern`, are printable text and not endless."""
    compiled = re.compile(pattern, re.DOTALL)

    def check(value: Any) -> str | None:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            return f"expected {meaning}, found {shown(value)}"
        return plain(value)

    return check


def one_of(values: tuple[Any, ...]) -> Check:
    """Allow exactly these values."""

    def check(value: Any) -> str | None:
        found = any(value == known and type(value) is type(known) for known in values)
        return None if found else f"expected one of {list(values)}, found {shown(value)}"

    return check


def timestamp(value: Any) -> str | None:
    """Allow ISO 8601 with seconds in UTC, such as 2015-06-05T12:00:00+00:00."""
    try:
        parsed = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return f"expected a time in ISO 8601, found {shown(value)}"
    in_utc = parsed.utcoffset() == UTC.utcoffset(None)
    return None if in_utc else f"expected a time in UTC, found {shown(value)}"


def strings(value: Any) -> str | None:
    """Allow a mapping of strings to strings."""
    if not isinstance(value, Mapping) or not all(isinstance(v, str) for v in value.values()):
        return f"expected an object of strings, found {shown(value)}"
    return plain(value)


def words(value: Any) -> str | None:
    """Allow a tuple of strings."""
    if not isinstance(value, tuple) or not all(isinstance(item, str) for item in value):
        return f"expected a list of strings, found {shown(value)}"
    return plain(value)


def mapping(value: Any) -> str | None:
    """Allow any JSON object."""
    return (
        plain(value) if isinstance(value, Mapping) else f"expected an object, found {shown(value)}"
    )


def plain(value: Any, depth: int = 0) -> str | None:
    """Allow what JSON can say, with finite numbers and text that can be written as UTF-8."""
    if depth > MAX_DEPTH:
        return f"is nested more than {MAX_DEPTH} deep"
    if isinstance(value, Mapping):
        wrong = next((key for key in value if not isinstance(key, str)), None)
        if wrong is not None:
            return f"holds the key {shown(wrong)}, which is no string"
        children = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple):
        children = [*value]
    else:
        return _plain_leaf(value)
    return next((reason for child in children if (reason := plain(child, depth + 1))), None)


def shown(value: Any) -> str:
    """Return a short form of a value for a message."""
    if isinstance(value, int) and abs(value) > MAX_INT:
        return "a number of more than 64 bits"
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _plain_leaf(value: Any) -> str | None:
    if isinstance(value, str):
        broken = any(0xD800 <= ord(c) <= 0xDFFF or c == "\0" for c in value)
        return f"holds text that cannot be written: {shown(value)}" if broken else None
    if isinstance(value, float):
        return None if math.isfinite(value) else f"holds {value}, which is no number"
    if value is None or isinstance(value, bool):
        return None
    if not isinstance(value, int):
        return f"holds {shown(value)}, which JSON cannot say"
    return None if abs(value) <= MAX_INT else f"holds {shown(value)}"


name = string(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,199}", "a name of letters, digits and _ . + -")
line = string(r"[^\n\r]*", "one line of text")
percent = number(0.0, 100.0)
duration = number(0.0, 1e12)

CHECKS: dict[str, Check] = {
    "schema": one_of((SCHEMA,)),
    "run_id": name,
    "status": one_of(STATUSES),
    "table": optional(name),
    "model": name,
    "transform": optional(name),
    "data": name,
    "recipe": name,
    "seed": integer(0),
    "test_error_percent": optional(percent),
    "num_test": optional(integer(1)),
    "num_params": optional(integer(1)),
    "steps": integer(0),
    "paper_steps": optional(integer(1)),
    "samples": integer(0),
    "paper_samples": optional(integer(1)),
    "batch_size": integer(1),
    "step_ms": optional(duration),
    "wall_s": duration,
    "config": mapping,
    "git_sha": string(r"[0-9a-f]{7,64}|unknown", "a commit"),
    "git_dirty": one_of((True, False)),
    "versions": strings,
    "data_sha256": optional(string(r"[0-9a-f]{64}", "64 hexadecimal digits")),
    "device": line,
    "command": line,
    "started_at": timestamp,
    "finished_at": timestamp,
    "val_error_percent": optional(percent),
    "peak_rss_mib": optional(duration),
    "cpu_s": optional(duration),
    "code": optional(string(r"[0-9a-f]{12}", "12 hexadecimal digits")),
    "message": optional(string(r".*", "text")),
    "overrides": words,
}
