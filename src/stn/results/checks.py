"""What records and tables have in common: strict models, and one line for what is wrong in one."""

import json
import math
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError

MAX_INT = 2**63 - 1
RANGES = {"_percent": (0.0, 100.0)}  # of metrics, by the end of their names


# Control characters, and those that turn the direction of a text or hide in it. Terminals and
# pages obey them, so no record holds one.
CONTROL = r"\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
_CONTROL = re.compile(f"[{CONTROL}]")
_ESCAPED = re.compile(r"(?<!\\)(?:\\\\)*\\[bfnrtu]")  # by JSON: those below a space


def printable(text: str) -> str:
    """Write control characters as Python would, and leave line ends and all others."""
    return "\n".join(
        _CONTROL.sub(lambda found: ascii(found[0])[1:-1], line) for line in text.split("\n")
    )


def _encodable(value: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(value, ensure_ascii=False)
    text.encode()  # fails on half a surrogate pair
    if _CONTROL.search(text) or _ESCAPED.search(text):
        raise ValueError("holds a control character")
    return value


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,199}$")]
Line = Annotated[str, Field(pattern=rf"^[^{CONTROL}]*$")]
Message = Annotated[str, AfterValidator(printable)]
Count = Annotated[int, Field(ge=0, le=MAX_INT)]
Positive = Annotated[int, Field(ge=1, le=MAX_INT)]
Json = Annotated[dict[str, JsonValue], AfterValidator(_encodable)]


class Checked(BaseModel):
    """Values that are checked once, when they are made, and stay as they are.

    Nothing is converted: "1" is no number, and True is none either, nor are NaN and infinity.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


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
    except (RecursionError, ValueError):  # lists in lists, a number of thousands of digits
        text = "what is too long to show"
    return text if len(text) <= 60 else text[:57] + "..."


def out_of_range(name: str, value: float) -> str | None:
    """Say why a metric of this name cannot have a value, if it cannot."""
    ends = [RANGES[suffix] for suffix in RANGES if name.endswith(suffix)]
    low, high = ends[0] if ends else (-math.inf, math.inf)
    return None if low <= value <= high else f"{value:g} is not in [{low:g}, {high:g}]"
