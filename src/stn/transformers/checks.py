"""What a user gave, as it should be, or one line that names it and says what to write."""

from collections.abc import Iterable
from operator import index
from typing import Any


def whole_numbers(name: str, meaning: str, value: Any, least: int = 1) -> tuple[int, ...]:
    """Return whole numbers as a tuple; of two alike, one number will do.

    Args:
        name: of the argument.
        meaning: the numbers by their names, such as `(H, W)`.
        value: what was given.
        least: the smallest of them that can be.

    Raises:
        ValueError: these are not as many whole numbers, from `least` up.
    """
    num = meaning.count(",") + 1
    try:
        numbers = tuple(map(index, value)) if isinstance(value, Iterable) else (index(value),) * 2
    except TypeError:  # 3.5, or '4', or None
        numbers = ()
    if len(numbers) != num or min(numbers) < least:
        or_one = ", or one for both" if num == 2 else ""
        raise ValueError(
            f"{name} must be {num} whole numbers {meaning} from {least} up{or_one}, not {value!r}"
        )
    return numbers


def instance(name: str, example: str, value: Any, attributes: Iterable[str]) -> Any:
    """Return an object that has attributes; a class, or a name, is what people give instead.

    Args:
        name: of the argument.
        example: of what it may be.
        value: what was given.
        attributes: that it needs.

    Raises:
        ValueError: it is a class, or lacks one of them.
    """
    if isinstance(value, type):
        raise ValueError(f"{name} must be an object, not a class: write {value.__name__}(...)")
    if missing := [wanted for wanted in attributes if not hasattr(value, wanted)]:
        raise ValueError(
            f"{name} must be an object such as {example}, not {value!r}, which has no {missing[0]}"
        )
    return value
