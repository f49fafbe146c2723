"""Every notebook runs from its first cell to its last, and is kept without what it printed."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image

PATHS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
every_notebook = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def run(notebook: nbformat.NotebookNode, folder: Path) -> list[nbformat.NotebookNode]:
    """Execute the cells, and return what they gave; an exception in one is raised here."""
    client = NotebookClient(notebook, timeout=300, kernel_name="python3")
    client.execute(cwd=str(folder))
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def num_pictures(outputs: list[nbformat.NotebookNode]) -> int:
    return sum("image/png" in output.get("data", {}) for output in outputs)


@every_notebook
def test_it_is_kept_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert "widgets" not in notebook.metadata


@every_notebook
def test_it_runs_and_shows_pictures(path: Path, tmp_path: Path) -> None:
    outputs = run(nbformat.read(path, as_version=4), tmp_path)
    assert num_pictures(outputs)
    assert [o.text for o in outputs if o.get("name") == "stderr"] == []


def test_the_layer_is_shown_on_an_image_of_ones_own(tmp_path: Path) -> None:
    (path,) = (path for path in PATHS if path.stem == "layer")
    notebook = nbformat.read(path, as_version=4)
    Image.linear_gradient("L").resize((401, 333)).save(tmp_path / "mine.png")
    (cell,) = (cell for cell in notebook.cells if "IMAGE = None" in cell.source)
    cell.source = cell.source.replace("IMAGE = None", 'IMAGE = "mine.png"')
    shown = sum("table_of(" in cell.source for cell in notebook.cells) + 1  # and the image itself
    assert num_pictures(run(notebook, tmp_path)) == shown
