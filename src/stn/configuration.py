"""Where the configuration lies: `conf/` of the checkout, or the copy of it that a wheel brings."""

from pathlib import Path

_INSTALLED = Path(__file__).with_name("conf")

CONF = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[2] / "conf"
