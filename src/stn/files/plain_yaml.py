"""YAML as this project writes it, and no more: a small file may stand for an endless one."""

import io
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from stn.files.regular import regular

MAX_BYTES, MAX_NODES, MAX_DEPTH = 2**18, 10_000, 30  # a configuration has 6,000, 500, 8


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file, with its interpolations as they stand.

    Raises:
        OSError: the system does not let it be read.
        ValueError: it is damaged, too long or too deep, or repeats parts by `*alias`; says which.
    """
    with regular(path).open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"{path} is longer than {MAX_BYTES:,} bytes")
    try:
        _look_over(content)
        return OmegaConf.to_container(OmegaConf.load(io.BytesIO(content)))
    except (OSError, ValueError, TypeError, yaml.YAMLError, OmegaConfBaseException) as error:
        reason = str(error) if type(error) is ValueError else type(error).__name__
        raise ValueError(f"{path} is damaged ({reason})") from error


def _look_over(content: bytes) -> None:
    """Refuse what would grow, or nest too deep, when it is put together."""
    num_nodes = depth = 0
    for event in yaml.parse(content, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"repeats a part by *{event.anchor}, which no configuration does")
        num_nodes += isinstance(event, yaml.NodeEvent)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH or num_nodes > MAX_NODES:
            raise ValueError(f"has more than {MAX_NODES:,} parts, or nests deeper than {MAX_DEPTH}")
