"""Builds objects from configuration with Hydra, and nothing but what cells are made of.

A configuration says what is built by `_target_`, any dotted name: unchecked, `os.system` would do,
and so would a function of this package that writes a file or starts a program. Configurations come
from the command line, and from `config.yaml` in the folder of a run, which may be another's.
"""

import inspect
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, get_type_hints

import hydra
from hydra.errors import InstantiationException
from omegaconf import OmegaConf
from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import SchemaError

from stn.results.checks import shown

# Packages and modules with what `conf/` names.
WITH_FUNCTIONS = ("stn.models", "stn.callbacks.wandb")
WITH_CLASSES = (
    *("stn.transformers", "stn.data", "stn.tasks", "stn.inspecting.measures"),
    *("torch.nn", "torch.optim", "torchmetrics", *WITH_FUNCTIONS),
)

_PLAIN = ConfigDict(strict=True, arbitrary_types_allowed=True)


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
    check_targets(plain, packages)
    if twice := sorted(arguments.keys() & plain.keys()):
        raise ValueError(f"{plain['_target_']}: {', '.join(twice)} is the cell's, and not set here")
    try:
        return hydra.utils.instantiate(plain, **arguments)
    except InstantiationException as error:
        what = str(error).partition("\nfull_key: ")[0]
        raise ValueError(" ".join(what.split())) from error


def check_targets(config: Any, packages: Sequence[str] = ()) -> None:
    """Refuse, in a resolved configuration, what `instantiate` would, and build nothing.

    Raises:
        ValueError: as of `instantiate`, as far as names and annotations tell it; or a package is
            not there.
    """
    for package in packages:
        if not _is_there(package):
            raise ValueError(f"packages: there is no {package} that could be imported")
    for node in _with_target(config):
        target = node["_target_"]
        found = _found(target, (*WITH_CLASSES, *packages), (*WITH_FUNCTIONS, *packages))
        _check_types(target, found, node)


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):  # of a package that is not there; no name
        return False


def _with_target(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield all that has a `_target_`; an interpolation that is left could hide one."""
    if isinstance(value, str) and "${" in value:
        raise ValueError(f"{value!r} is not resolved, and is not built")
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield value
        value = list(value.values())
    for item in value if isinstance(value, list) else ():
        yield from _with_target(item)


def _found(target: Any, with_classes: tuple[str, ...], with_functions: tuple[str, ...]) -> Any:
    """Return the class or function of this name, if it may be built.

    Looked at are the name, before anything is imported, and where the thing is defined after it,
    for a dotted name may pass through any module.
    """
    if isinstance(target, str) and _is_in(target, with_classes):
        try:
            found = pkgutil.resolve_name(target)
        except (AttributeError, ImportError, ValueError) as error:
            raise ValueError(f"_target_: there is no {target}") from error
        module = getattr(found, "__module__", None) or ""
        if inspect.isclass(found) and _is_in(module, with_classes):
            return found
        if inspect.isfunction(found) and _is_in(module, with_functions):
            return found
    raise ValueError(
        f"_target_: {target} is not built: only classes of {', '.join(with_classes)} are, and"
        f" functions of {', '.join(with_functions)}; packages=[...] allows your own"
    )


def _check_types(target: str, found: Any, arguments: Mapping[str, Any]) -> None:
    """Refuse what is no argument, and a number, text or null where its annotation has no such type.

    Raises:
        ValueError: says which argument.
    """
    hints = _hints(found)
    takes_any = hints.pop("**", None)
    for name in arguments:
        if not (takes_any or name in hints or name.startswith("_")):  # those are Hydra's
            raise ValueError(f"{target}: {name}: there is no such argument")
    for name, value in arguments.items():
        if hints.get(name, Any) is Any or not isinstance(value, bool | int | float | str | None):
            continue
        try:
            TypeAdapter(hints[name], config=_PLAIN).validate_python(value)
        except (PydanticUserError, SchemaError):  # no type that a value can be asked for
            continue
        except ValidationError as error:
            wanted = error.errors(include_url=False)[0]["msg"]
            raise ValueError(f"{target}: {name}: {wanted}, found {shown(value)}") from error


def _hints(found: Any) -> dict[str, Any]:
    """Annotations of what a class or a function takes; `**others` of a class are its next base's.

    `**` is among them where anything is taken. What only type checkers can resolve is `Any`.
    """
    bases = [part for part in getattr(found, "__mro__", ())[1:-1] if "__init__" in vars(part)]
    hints: dict[str, Any] = {}
    for part in (found, *bases):
        takes = inspect.signature(part).parameters
        annotations = dict.fromkeys(takes, Any)
        with suppress(NameError):
            annotations |= get_type_hints(part.__init__ if inspect.isclass(part) else part)
        others = [name for name in takes if takes[name].kind == takes[name].VAR_KEYWORD]
        hints = annotations | hints
        if not others:
            return hints
        del hints[others[0]]
    return hints | {"**": Any}


def _is_in(name: str, packages: tuple[str, ...]) -> bool:
    """Tell whether a dotted name is public and in one of the packages, by whole parts."""
    is_public = not any(part.startswith("_") for part in name.split("."))
    return is_public and any(f"{name}.".startswith(f"{package}.") for package in packages)
