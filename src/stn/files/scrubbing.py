"""Takes out of a record what it must not tell: where its user's files lie, and secrets."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HIDDEN = "<hidden>"
FOLDERS = ("STN_RUNS_DIR", "STN_DATA_DIR", "STN_REPORTS_DIR")
SECRET_NAME = (
    r"(?i:(?:[a-z0-9]+_)*(?:token|secret|password|passwd|api_?key|credentials?)(?:_[a-z0-9]+)*)"
)
_IS_SECRET = re.compile(SECRET_NAME)
_ASSIGNED = re.compile(rf"(?<![A-Za-z0-9_])({SECRET_NAME}\s*[=:]\s*)[^\s,&}}\]]+")
_IN_ADDRESS = re.compile(r"(?<=://)[^/\s@]+(?=@)")
_TOKEN = re.compile(
    r"gh[opsur]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}|hf_[A-Za-z0-9]{20,}"
    r"|(?<!\w)sk-[A-Za-z0-9_-]{20,}|AKIA[0-9A-Z]{16}|xox[abprs]-[A-Za-z0-9-]{10,}|wandb_v\d_\w{20,}"
)


def scrub(value: Any) -> Any:
    """Return a copy of plain JSON data without paths of this user's machine and without secrets.

    The working folder becomes ".", the home folder "~", and absolute folders that were given by
    the variables in `FOLDERS` the names of these. Hidden are the values of keys
    and of variables that are named like secrets, the values of such environment variables
    wherever they occur, and what has the form of a well-known service's token.
    """
    return _scrub(value, _places(), _environment_secrets())


def _scrub(value: Any, places: list[tuple[re.Pattern[str], str]], secrets: list[str]) -> Any:
    if isinstance(value, Mapping):
        return {
            _scrub(key, places, secrets): HIDDEN
            if _IS_SECRET.fullmatch(key) and isinstance(item, str) and item
            else _scrub(item, places, secrets)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_scrub(item, places, secrets) for item in value]
    return _scrub_text(value, places, secrets) if isinstance(value, str) else value


def _scrub_text(text: str, places: list[tuple[re.Pattern[str], str]], secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    text = _IN_ADDRESS.sub(HIDDEN, _TOKEN.sub(HIDDEN, _ASSIGNED.sub(rf"\1{HIDDEN}", text)))
    for pattern, name in places:
        text = pattern.sub(lambda _, name=name: name, text)  # type: ignore[misc]
    return text


def _places() -> list[tuple[re.Pattern[str], str]]:
    """Return patterns of this machine's folders, the longest first, and what stands for each."""
    names = {os.environ.get(name, ""): f"${name}" for name in FOLDERS}
    places = {Path(path): name for path, name in names.items() if path and Path(path).is_absolute()}
    places |= {Path.cwd(): ".", Path.home(): "~"}
    places |= {path.resolve(): name for path, name in places.items()}
    folders = {str(path): name for path, name in places.items() if len(path.parts) > 1}
    return [
        (re.compile(rf"(?<![\w.~-]){re.escape(path)}(?![\w.-])"), folders[path])
        for path in sorted(folders, key=len, reverse=True)
    ]


def _environment_secrets() -> list[str]:
    """Return the values of environment variables that are named like secrets, the longest first."""
    values = {v for k, v in os.environ.items() if _IS_SECRET.fullmatch(k) and len(v) >= 8}
    return sorted(values, key=len, reverse=True)
