"""The code that decides a cell's result, as a hash: what its computation can reach, and no more.

Python is read and not run. From the classes and functions that the configuration names, and from
the function that trains a cell, every definition is followed to those that it mentions, through the
imports of this package. A new file, a new class beside the ones in use, a comment, a docstring,
what an error says and the format of the source change nothing; a change of anything that is reached
does.
"""

import ast
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from stn.results.identity import of_cell

PACKAGE = "stn"
SOURCE = Path(__file__).parents[1]
SAME_CODE = Path(__file__).with_name("same_code.json")
TRAINING = ("stn.running.preparing.prepare", "stn.running.cell.train_and_measure")
# Rooms and modules that watch, keep and show what a cell gives, and decide nothing of it, but for
# the notes `val_collapsed_<how>` of callbacks, which stand in records and in no table.
WATCHING = (
    *("stn.callbacks", "stn.drawing", "stn.files", "stn.results", "stn.sweeping"),
    *("stn.running.building", "stn.running.checkpoints", "stn.running.recording"),
    "stn.running.unwanted_warnings",
)
# What data modules do besides: where files come from, and what is shown and evaluated afterwards.
BESIDES = ("prepare_data", "_how_to_provide", "places", "panel_batch", "count_images")

Place = tuple[str, str]  # module and name; "" for what a module does when it is imported


def code_id(config: Mapping[str, Any]) -> str:
    """Return twelve digits of a hash of the source that decides the result of a cell.

    Of classes from other packages their names count, which are in the configuration, too.

    Args:
        config: the resolved configuration of the cell.
    """
    return _hash(frozenset({*TRAINING, *_targets(of_cell(config))}))


def made_by_this_code(code: str | None, config: Mapping[str, Any]) -> bool:
    """Tell whether code gives the same result for a cell as the code that is here.

    It does if it is the same, or if `same_code.json` says so (`same_as`).
    """
    return code is not None and code_id(config) in same_as(code)


def same_as(code: str) -> set[str]:
    """Return the code and all that came after it and gives the same results.

    `same_code.json` lists the changes that were shown to leave every bit as it was, the oldest
    first (`benchmarks/same_results.py`).
    """
    known = {code}
    for proof in json.loads(SAME_CODE.read_text()):
        known |= {new for old, new in proof["codes"].items() if old in known}
    return known


def _targets(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("_target_"), str):
            yield value["_target_"]
        value = list(value.values())
    for item in value if isinstance(value, list | tuple) else ():
        yield from _targets(item)


@cache
def _hash(roots: frozenset[str]) -> str:
    reached: dict[Place, str] = {}
    waiting = [place for root in sorted(roots) for place in _find(root)]
    while waiting:
        module, name = waiting.pop()
        if (module, name) in reached or f"{module}.".startswith(tuple(f"{w}." for w in WATCHING)):
            continue
        reached[module, name], mentioned = _definition(module, name)
        waiting += [(module, ""), *mentioned]
    digest = hashlib.sha256()
    for (module, name), text in sorted(reached.items()):
        if text:
            digest.update(f"{module}\0{name}\0{text}\0".encode())
    return digest.hexdigest()[:12]


@cache
def _definition(module: str, name: str) -> tuple[str, list[Place]]:
    """Return the text of a place, and the places that it mentions."""
    source = _read(module)
    statements = source.loose if not name else source.names.get(name, ())
    text = "\n".join(ast.unparse(statement) for statement in statements)
    mentioned = [place for s in statements for place in _mentioned(source, module, s)]
    return text.replace("'", '"'), mentioned  # which quotes, depends on the Python


@dataclass(frozen=True)
class _Source:
    """A module: the statements that define each of its names, imports apart, and all others."""

    names: Mapping[str, list[ast.stmt]]
    imports: Mapping[str, str]  # from a name to what it stands for, with dots
    loose: list[ast.stmt]


@cache
def _read(module: str) -> _Source:
    names: dict[str, list[ast.stmt]] = {}
    imports: dict[str, str] = {}
    loose: list[ast.stmt] = []
    for statement in _WhatDecides().visit(ast.parse(_file(module).read_bytes())).body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            imports |= _imported(statement)
        elif defined := _defined(statement):
            for name in defined:
                names.setdefault(name, []).append(statement)
        else:
            loose.append(statement)
    return _Source(names, imports, loose)


def _defined(statement: ast.stmt) -> list[str]:
    """Return the names that a statement at the top of a module defines, and does no more."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    targets = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
    found = [node for target in targets for node in ast.walk(target)]
    names = [node.id for node in found if isinstance(node, ast.Name)]
    return [] if any(isinstance(node, ast.Attribute | ast.Subscript) for node in found) else names


def _imported(statement: ast.Import | ast.ImportFrom) -> dict[str, str]:
    """Return what an import binds, if it is of this package; imports in it are absolute."""
    prefix = f"{statement.module}." if isinstance(statement, ast.ImportFrom) else ""
    pairs = [(alias.asname or alias.name, f"{prefix}{alias.name}") for alias in statement.names]
    return {name: target for name, target in pairs if f"{target}.".startswith(f"{PACKAGE}.")}


def _mentioned(source: _Source, module: str, statement: ast.stmt) -> Iterator[Place]:
    """Yield all places that a statement mentions, imports inside of functions included."""
    imports = dict(source.imports)
    for node in ast.walk(statement):
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports |= _imported(node)
    for node in ast.walk(statement):
        if isinstance(node, ast.Name):
            if node.id in imports:
                yield from _find(imports[node.id])
            elif node.id in source.names:
                yield module, node.id


def _find(target: str) -> Iterator[Place]:
    """Yield the place of a dotted name, through re-exports; all names of a whole module."""
    parts = target.split(".")
    if parts[0] != PACKAGE:
        return
    for length in range(len(parts), 0, -1):
        module = ".".join(parts[:length])
        if not _file(module).exists():
            continue
        if length == len(parts):
            yield from ((module, name) for name in _read(module).names)
        elif (name := parts[length]) in _read(module).imports:
            yield from _find(".".join([_read(module).imports[name], *parts[length + 1 :]]))
        else:
            yield module, name
        return


def _file(module: str) -> Path:
    path = SOURCE.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


class _WhatDecides(ast.NodeTransformer):
    """Leaves out docstrings, methods that are `BESIDES`, and what an error says."""

    def visit_Raise(self, node: ast.Raise) -> ast.Raise:
        return ast.Raise(exc=node.exc.func if isinstance(node.exc, ast.Call) else node.exc)

    def visit(self, node: ast.AST) -> Any:
        node = super().visit(node)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            has_docstring = ast.get_docstring(node) is not None
            kept = [s for s in node.body[has_docstring:] if getattr(s, "name", None) not in BESIDES]
            node.body = kept or [ast.Pass()]
        return node
