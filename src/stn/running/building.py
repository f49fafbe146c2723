"""Builds objects from configuration with Hydra, and nothing but what cells are made of.

A configuration says what is built by `_target_`, any dotted name: unchecked, `os.system` would do,
and so would a function of this package that writes a file or starts a program. Configurations come
from the command line, and from `config.yaml` in the folder of a run, which may be another's.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import hydra
from hydra.errors import InstantiationException
from hydra.utils import get_object
from omegaconf import OmegaConf

# Packages and modules with what `conf/` names.
WITH_FUNCTIONS = ("stn.models", "stn.callbacks.wandb")
WITH_CLASSES = (
    *("stn.transformers", "stn.data", "stn.tasks"),
    *("torch.nn", "torch.optim", "torchmetrics", *WITH_FUNCTIONS),
)


def instantiate(config: Any, packages: Sequence[str] = (), **arguments: Any) -> Any:
    """Build what a configuration describes, as `hydra.utils.instantiate` does.

    Allowed are public classes of `WITH_CLASSES` and functions of `WITH_FUNCTIONS`, where they are
    defined there: `stn.data.mnist_source.subprocess.Popen` is not. Whoever gives the command may
    allow classes and functions of further packages, such as their own; a `config.yaml` may not.

    Args:
        config: with a `_target_`.
        packages: further packages or modules.
        arguments: of the target, besides those in the configuration.

    Raises:
        ValueError: a `_target_` is something else, or does not take what the configuration says,
            or the configuration says what is given by `arguments`.
    """
    node = config if OmegaConf.is_config(config) else OmegaConf.create(config)
    plain: Any = OmegaConf.to_container(node, resolve=True)
    for target in _targets(plain):
        _check(target, (*WITH_CLASSES, *packages), (*WITH_FUNCTIONS, *packages))
    if twice := sorted(arguments.keys() & plain.keys()):
        raise ValueError(f"{plain['_target_']}: {', '.join(twice)} is the cell's, and not set here")
    try:
        return hydra.utils.instantiate(plain, **arguments)
    except InstantiationException as error:
        raise ValueError(str(error)) from error


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


def _check(target: Any, with_classes: tuple[str, ...], with_functions: tuple[str, ...]) -> None:
    """Look at the name before anything is imported, and at where the thing is defined after it.

    For a dotted name may pass through any module.
    """
    if isinstance(target, str) and _is_in(target, with_classes):
        try:
            found = get_object(target)
        except ImportError as error:
            raise ValueError(f"_target_: there is no {target}") from error
        module = getattr(found, "__module__", None) or ""
        if inspect.isclass(found) and _is_in(module, with_classes):
            return
        if inspect.isfunction(found) and _is_in(module, with_functions):
            return
    raise ValueError(
        f"_target_: {target} is not built: only classes of {', '.join(with_classes)} are, and"
        f" functions of {', '.join(with_functions)}; packages=[...] allows your own"
    )


def _is_in(name: str, packages: tuple[str, ...]) -> bool:
    """Tell whether a dotted name is public and in one of the packages, by whole parts."""
    is_public = not any(part.startswith("_") for part in name.split("."))
    return is_public and any(f"{name}.".startswith(f"{package}.") for package in packages)
