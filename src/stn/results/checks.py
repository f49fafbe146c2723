"""What records and tables have in common: strict models, and one line for what is wrong in one."""

import json
import math
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MAX_INT = 2**63 - 1
MAX_DEPTH = 50

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,199}$")]
Line = Annotated[str, Field(pattern=r"^[^\n\r\x00]*$")]
Count = Annotated[int, Field(ge=0, le=MAX_INT)]
Positive = Annotated[int, Field(ge=1, le=MAX_INT)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
RANGES = {"_percent": (0.0, 100.0)}  # of metrics, by the end of their names


class Checked(BaseModel):
    """Values that are checked once, when they are made, and stay as they are.

    Nothing is converted: "1" is no number, and True is none either.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


def reason(error: ValidationError) -> str:
    """Say in one line what is wrong first: where, what, and what was found there."""
    first = error.errors(include_url=False)[0]
    place = ".".join(shown(part).strip("'") for part in first["loc"])
    if first["type"] == "missing":
        return f"{place}: is missing"
    if first["type"] == "extra_forbidden":
        return f"'{place}': there is no such key"
    said = first["msg"].removeprefix("Value error, ")
    return f"{place}: {said}, found {shown(first['input'])}" if place else said


def shown(value: Any) -> str:
    """Return a short form of a value for a message, in ASCII."""
    try:
        text = ascii(value)
    except ValueError:  # a whole number of thousands of digits
        text = "a huge number"
    return text if len(text) <= 60 else text[:57] + "..."


def plain(value: Any) -> Any:
    """Return what JSON can say with finite numbers and in UTF-8; refuse all else."""
    try:
        if _depth(value) > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
        text = json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
        if json.loads(text) != value:
            raise ValueError("a key is no string, or a list is none")
    except (RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"JSON cannot say this: {error}") from error
    return value


def out_of_range(name: str, value: float) -> str | None:
    """Say why a metric of this name cannot have a value, if it cannot."""
    ends = [RANGES[suffix] for suffix in RANGES if name.endswith(suffix)]
    low, high = ends[0] if ends else (-math.inf, math.inf)
    return None if low <= value <= high else f"{value:g} is not in [{low:g}, {high:g}]"


def _depth(value: Any) -> int:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, items), default=0)
