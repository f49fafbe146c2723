"""Builds objects from configuration with Hydra, and nothing but this package's and torch's own.

A configuration says what is built by `_target_`, any dotted name: unchecked, `os.system` would do.
Configurations come from the command line, and from `config.yaml` in the folder of a run, which may
be another's.
"""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import hydra
from hydra.utils import get_object
from omegaconf import OmegaConf


def instantiate(config: Any) -> Any:
    """Build what a configuration describes, as `hydra.utils.instantiate` does.

    Allowed are classes and functions of `stn`, and classes of `torch.nn` and `torch.optim`, where
    they are defined there: `stn.cell.os.system` is not.

    Raises:
        ValueError: a `_target_` is something else.
    """
    node = config if OmegaConf.is_config(config) else OmegaConf.create(config)
    plain = OmegaConf.to_container(node, resolve=True)
    for target in _targets(plain):
        _check(target)
    return hydra.utils.instantiate(plain)


def _targets(value: Any) -> Iterator[Any]:
    """Yield every `_target_`, however deep; what is left of an interpolation could hide one."""
    if isinstance(value, str) and "${" in value:
        raise ValueError(f"{value!r} is not resolved, and is not built")
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield value["_target_"]
        value = list(value.values())
    for item in value if isinstance(value, list) else ():
        yield from _targets(item)


def _check(target: Any) -> None:
    """Look at where the thing is defined, for its dotted name may pass through any module."""
    if isinstance(target, str) and target.partition(".")[0] in ("stn", "torch"):
        found = get_object(target)
        module = getattr(found, "__module__", None) or ""
        if inspect.isclass(found) and module.startswith(("stn.", "torch.nn.", "torch.optim.")):
            return
        if inspect.isfunction(found) and module.startswith("stn."):
            return
    raise ValueError(
        f"_target_: {target} is not built: only classes and functions of stn, and classes of"
        " torch.nn and torch.optim, are"
    )
