"""How a command begins: its configuration is composed by Hydra, and what is wrong with it said."""

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from stn.configuration import CONF, show_what_can_be_shown

Main = Callable[..., Any]
MISTAKES = (HydraException, OSError, ValueError)


def command(name: str) -> Callable[[Main], Main]:
    """Decorate the main function of a command, which gets `conf/<name>.yaml` with its overrides.

    What is wrong with its settings, its files, or what they hold, is said without a trace of calls,
    and ends it with status 1.
    """

    def decorate(main: Main) -> Main:
        @wraps(main)
        def job(cfg: DictConfig) -> Any:
            if HydraConfig.get().mode == RunMode.MULTIRUN:  # the sweeper says it of each cell
                return main(cfg)
            try:
                return main(cfg)
            except MISTAKES as error:  # before Hydra names the overrides, too
                sys.exit(said(error))

        composed = hydra.main(version_base="1.3", config_path=str(CONF), config_name=name)(job)

        @wraps(main)
        def run() -> Any:
            show_what_can_be_shown()
            os.environ["HYDRA_FULL_ERROR"] = "1"  # or Hydra prints, and ends, by itself
            try:
                _refuse_groups_without_a_name(sys.argv[1:])
                return composed()
            except MISTAKES as error:
                sys.exit(said(error))

        return run

    return decorate


def said(error: Exception) -> str:
    """Say what went wrong; of what Hydra says beyond a line, only which names there are."""
    if not isinstance(error, HydraException | OmegaConfBaseException):
        return str(error)
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    if isinstance(error, OverrideParseException):
        line = f"{error.override}: {line}"
        if "Lexer" in line:
            line = f"{error.override}: text with such characters has quotes, as in key=\"'a~b'\""
    if isinstance(error, MissingConfigException) and error.options:
        line += f"; there are {', '.join(error.options)}"
    return line


def _refuse_groups_without_a_name(arguments: list[str]) -> None:
    """Refuse null or a number for a part of the configuration, at which Hydra stops with a trace.

    Raises:
        ValueError: says which.
    """
    parser = OverridesParser.create()
    for argument in arguments:
        key, _, value = argument.lstrip("+").partition("=")
        if value and (CONF / key.partition("@")[0]).is_dir():
            override = parser.parse_override(argument)
            if not override.is_sweep_override() and not isinstance(override.value(), str | list):
                raise ValueError(f"{key}: expected a name of conf/{key}, found {value}")
