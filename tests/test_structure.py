"""Which rooms of the package import which: as CONTRIBUTING.md draws it, and no others."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src/stn"
LINE = re.compile(r"^([a-z, ]+) -> ([a-z, ]+)$", re.MULTILINE)


def drawn() -> dict[str, set[str]]:
    text = (ROOT / "CONTRIBUTING.md").read_text().partition("## How the code is laid out")[2]
    rooms = {}
    for importing, imported in LINE.findall(text):
        for room in importing.split(", "):
            rooms[room] = set(imported.split(", ")) - {"nothing"}
    return rooms


def imported(path: Path) -> set[str]:
    """Return the rooms that a file imports, at its top or in a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in modules if name.startswith("stn.")}
    return found


def test_rooms_import_what_is_drawn() -> None:
    rooms = drawn()
    folders = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert folders <= rooms.keys()
    for room, allowed in rooms.items():
        if room != "commands":
            files = [*(SOURCE / room).glob("**/*.py")] or [SOURCE / f"{room}.py"]
            found = set().union(*map(imported, files)) - {room}
            assert found == allowed, room


def test_no_arrow_points_back() -> None:
    rooms = {room: set(others) for room, others in drawn().items() if room != "commands"}
    while rooms:
        free = {room for room, others in rooms.items() if not others & rooms.keys()}
        assert free, f"a circle among {sorted(rooms)}"
        rooms = {room: others for room, others in rooms.items() if room not in free}
