"""Where the configuration lies, the folders that variables name in it, and the terminal."""

import io
import os
import sys
from pathlib import Path

from omegaconf import OmegaConf

_INSTALLED = Path(__file__).with_name("conf")  # the copy that a wheel brings

CONF = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[2] / "conf"


def folder(variable: str, default: str) -> str:
    """Return the folder that a variable names, in full; the default if it is empty or not set."""
    value = os.environ.get(variable, "").strip()
    return str(Path(value).expanduser().absolute()) if value else default


def show_what_can_be_shown() -> None:
    """Have a terminal of few characters, such as ASCII, get ? for others, and stop nothing."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


OmegaConf.register_new_resolver("folder", folder, replace=True)  # ${folder:STN_RUNS_DIR,runs}
