"""Every notebook runs, on images, records and runs of one's own, and is kept without outputs.

As they stand, they are run by `make docs`.
"""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image

from stn.results.statistics import paired_test, summarise
from stn.running.cell import run_cell
from stn.running.preparing import Cell

FOLDER = Path(__file__).parents[1] / "notebooks"
every_notebook = pytest.mark.parametrize("name", sorted(p.stem for p in FOLDER.glob("*.ipynb")))


def read(name: str) -> nbformat.NotebookNode:
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    return notebook


def code_of(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def run(name: str, folder: Path, **settings: object) -> tuple[int, str]:
    """Execute a notebook with other settings; return how many pictures it shows, and its words.

    An exception in a cell is raised here.
    """
    notebook = read(name)
    first = code_of(notebook)[0]
    for setting, value in settings.items():
        line = rf"^{setting} = [^#\n]+"
        first.source, found = re.subn(line, f"{setting} = {value!r}  ", first.source, flags=re.M)
        assert found == 1
    NotebookClient(notebook, timeout=100, kernel_name="python3").execute(cwd=str(folder))
    outputs = [output for cell in code_of(notebook) for output in cell.outputs]
    assert [o.text for o in outputs if o.get("name") == "stderr"] == []
    data = [output.get("data", {}) for output in outputs]
    words = [
        o.get("text", "") + d.get("text/plain", "") for o, d in zip(outputs, data, strict=True)
    ]
    return sum("image/png" in shown for shown in data), "\n".join(words)


@every_notebook
def test_it_is_kept_without_outputs(name: str) -> None:
    notebook = read(name)
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code_of(notebook))
    assert "widgets" not in notebook.metadata


@every_notebook
def test_it_defines_nothing(name: str) -> None:
    code = ast.parse("\n".join(cell.source for cell in code_of(read(name))))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    assert [node for node in ast.walk(code) if isinstance(node, kinds)] == []


@pytest.fixture
def image(tmp_path: Path) -> str:
    Image.linear_gradient("L").resize((401, 333)).save(tmp_path / "mine.png")
    return "mine.png"


def test_the_layer_is_shown_on_an_image_of_ones_own(image: str, tmp_path: Path) -> None:
    shown = sum("table_of(" in cell.source for cell in code_of(read("layer"))) + 1  # and the image
    assert run("layer", tmp_path, IMAGE=image)[0] == shown


def test_results_are_read_from_runs(make_cell: Callable[..., Cell], tmp_path: Path) -> None:
    errors: dict[str, dict[int, float]] = {"fcn": {}, "st_fcn": {}}
    for model, of_seeds in errors.items():
        for seed in range(3):
            record = run_cell(make_cell(f"model={model}", f"seed={seed}", "recipe.max_steps=10"))
            of_seeds[seed] = record.metrics["test_error_percent"]
    (tmp_path / "runs/damaged").mkdir()
    (tmp_path / "runs/damaged/result.json").write_text("{")
    num_pictures, words = run("results", tmp_path, RECORDS="runs")
    assert num_pictures == 1
    assert re.search(r"cannot use .*damaged/result.json", words)
    assert "6 runs, 6 of them finished" in words
    for of_seeds in errors.values():
        ours = summarise([*of_seeds.values()])
        assert f"{ours.mean:.2f} ± {ours.sd:.2f} (3)" in words
    test = paired_test(errors["st_fcn"], errors["fcn"])
    assert test is not None
    row = re.search(r"mnist_r +st_fcn affine +fcn +3 +(\S+)", words)
    assert row is not None
    assert float(row[1]) == pytest.approx(test.difference, rel=1e-4)
    assert "st_fcn affine better than fcn: " in words


def test_a_network_of_ones_own_and_one_of_a_run(
    image: str, make_cell: Callable[..., Cell], tmp_path: Path
) -> None:
    cells = make_cell("model=fcn"), make_cell("model=st_fcn", "transform=tps")
    for cell in cells:
        run_cell(cell)
    num_pictures, words = run("network", tmp_path, IMAGE=image, STEPS=2, RUNS="runs")
    assert num_pictures == 5
    assert f"{cells[1].run_id}: " in words
    assert words.count("% sure") == 6
