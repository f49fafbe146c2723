"""Where a record comes from: command, commit, versions, machine."""

import platform
import shlex
import subprocess
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

from stn.results.identity import OF_A_SWEEP

PACKAGES = (
    *("torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core"),
    *("numpy", "scipy", "pillow"),
)
PACKAGE = Path(__file__).parents[1]

COMMAND = ("python", "-m", "stn.train")


def command_of(overrides: Sequence[str]) -> str:
    """Return the command that runs a cell by itself, whatever table or study asks for it."""
    of_sweep = tuple(f"{key}{mark}" for key in OF_A_SWEEP for mark in "=.")
    alone = [override for override in overrides if not override.lstrip("+").startswith(of_sweep)]
    return shlex.join((*COMMAND, *alone))


def without_sweep(command: str) -> str:
    """Return a record's command as `command_of` gives it; older ones name the table.

    What is no such command stays as it is.
    """
    try:
        words = shlex.split(command)
    except ValueError:  # not a command line at all
        return command
    return command_of(words[3:]) if tuple(words[:3]) == COMMAND else command


@cache
def git_state() -> tuple[str, bool]:
    """Return the commit of the code that runs, and whether the files differ from it.

    A file that git does not track counts as a difference below src/ and conf/. Asked once a
    process, for a commit made later is not the code that runs.

    Outside a git checkout of this project the commit is "unknown" and the state dirty: an
    environment may lie in the checkout of another one.
    """
    if not _git("ls-files", "--", "."):
        return "unknown", True
    sha, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "-uno")
    new = _git("status", "--porcelain", "-unormal", "--", ":/src", ":/conf")
    return (sha or "unknown"), (sha is None or bool(changes) or bool(new))


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
    # A kill in the midst of a lock would leave it behind, and git would refuse its user's commits.
    command = ["git", "--no-optional-locks", "-C", str(PACKAGE), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git on this machine
        return None
    return done.stdout.strip() if done.returncode == 0 else None
