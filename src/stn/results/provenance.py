"""Where a record comes from: commit, versions, machine."""

import hashlib
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "pytorch-lightning", "hydra-core", "torchmetrics", "numpy")
PACKAGE = Path(__file__).parents[1]
DECISIVE = ("data", "fast", "models", "tasks", "transformers")  # and the modules:
DECISIVE_MODULES = ("running/cell.py", "running/ranks.py")


@cache
def git_state() -> tuple[str, bool]:
    """Return the commit of the code that runs, and whether the files differ from it.

    A file that git does not track counts as a difference below src/ and conf/. Asked once a
    process, for a commit made later is not the code that runs.

    Outside a git checkout the commit is "unknown" and the state dirty.
    """
    sha, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "-uno")
    new = _git("status", "--porcelain", "-unormal", "--", ":/src", ":/conf")
    return (sha or "unknown"), (sha is None or bool(changes) or bool(new))


@cache
def code_id() -> str:
    """Return twelve digits of a hash of the source that decides a result.

    Two commits that differ in documentation, reports or commands have the same. Asked once a
    process, as the commit is; it needs no git.
    """
    paths = [path for part in DECISIVE for path in (PACKAGE / part).rglob("*.py")]
    found = hashlib.sha256()
    for path in sorted([*paths, *(PACKAGE / name for name in DECISIVE_MODULES)]):
        found.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0")
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:12]


def made_by_this_code(code: str | None, config: Mapping[str, Any]) -> bool:
    """Tell whether the code of a record gives the same result as today's, for a cell's `config`."""
    return code == code_id()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a result."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def processor() -> str:
    """Return the processor's model name where the system tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(PACKAGE), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git on this machine
        return None
    return done.stdout.strip() if done.returncode == 0 else None
