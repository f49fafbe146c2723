import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import stn
from stn.files.saved import save
from stn.results.records import read_record, write_record
from stn.running.preparing import Cell
from stn.running.restoring import evaluate, restore

MakeCell = Callable[..., Cell]


def test_evaluate_gives_the_recorded_error_exactly(finished: MakeCell, mnist_dir: Path) -> None:
    cell = finished("model=st_fcn")
    outcome = evaluate(cell.folder, mnist_dir)
    recorded = read_record(cell.folder / "result.json").metrics["test_error_percent"]
    assert outcome == {"test_error_percent": (recorded, recorded), "num_test": (150, 150)}


def test_damaged_weights_are_named_and_never_tested(
    finished: MakeCell, make_cell: MakeCell, mnist_dir: Path
) -> None:
    cell = make_cell("model=fcn")
    shutil.copytree(finished("model=fcn").folder, cell.folder)
    weights = cell.folder / "weights.pt"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1  # torch alone would load it
    weights.write_bytes(content)
    with pytest.raises(ValueError, match=r"weights\.pt is damaged \(wrong checksum"):
        restore(cell.folder, mnist_dir)
    weights.write_bytes(content[:1000])
    with pytest.raises(ValueError, match=r"weights\.pt is damaged"):
        restore(cell.folder, mnist_dir)
    save({"weight": torch.zeros(3)}, weights)
    with pytest.raises(ValueError, match=r"weights\.pt is not what the run ended with"):
        restore(cell.folder, mnist_dir)
    result = cell.folder / "result.json"
    write_record(result, read_record(result).model_copy(update={"weights_sha256": None}))
    with pytest.raises(ValueError, match=r"weights\.pt and config\.yaml in .* do not fit"):
        restore(cell.folder, mnist_dir)
    (cell.folder / "config.yaml").write_text("data: {}")
    with pytest.raises(ValueError, match=r"config\.yaml is not the configuration of a run"):
        restore(cell.folder, mnist_dir)
    (cell.folder / "config.yaml").write_text("data: [")
    with pytest.raises(ValueError, match=r"config\.yaml is damaged"):
        restore(cell.folder, mnist_dir)
    (cell.folder / "config.yaml").write_text("a: &a [1]\nb: [*a, *a]")
    with pytest.raises(ValueError, match=r"config\.yaml is damaged \(repeats a part by \*a"):
        restore(cell.folder, mnist_dir)
    (cell.folder / "config.yaml").write_text("")
    with pytest.raises(ValueError, match=r"config\.yaml is not the configuration of a run"):
        restore(cell.folder, mnist_dir)
    with pytest.raises(ValueError, match="is not a finished run: it has no"):
        restore(cell.folder.parent, mnist_dir)


@pytest.mark.parametrize("name", ["config.yaml", "weights.pt"])
def test_a_folder_with_only_a_part_of_a_run_says_what_it_lacks(
    finished: MakeCell, tmp_path: Path, name: str
) -> None:
    cell = finished("model=fcn")
    copy = tmp_path / cell.run_id
    shutil.copytree(cell.folder, copy)
    (copy / name).unlink()
    with pytest.raises(ValueError, match=f"{cell.run_id} has no {name}, without which"):
        restore(copy)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("max_deg: 90", "max_deg: 45", r"config\.yaml is not what the run was made with"),
        ("seed: 0", "seed: 1", r"config\.yaml is not what the run was made with"),
        ("threads: 1", "threads: abc", r"config\.yaml: trainer\.threads: .*found 'abc'"),
        ("threads: 1", "threads: 100000", r"config\.yaml: trainer\.threads: .*found 100000"),
        ("fast: true", "slow: true", r"config\.yaml: trainer\.fast: is missing"),
    ],
)
def test_a_configuration_of_another_run_is_refused(
    finished: MakeCell, tmp_path: Path, old: str, new: str, message: str
) -> None:
    cell = finished("model=fcn")
    copy = tmp_path / cell.run_id
    shutil.copytree(cell.folder, copy)
    text = (copy / "config.yaml").read_text()
    assert text.count(f"{old}\n")
    (copy / "config.yaml").write_text(text.replace(f"{old}\n", f"{new}\n"))
    with pytest.raises(ValueError, match=message):
        restore(copy)


def test_weights_and_records_of_another_run_are_refused(
    finished: MakeCell, make_cell: MakeCell, mnist_dir: Path
) -> None:
    cell, other = make_cell("model=fcn"), finished("model=st_fcn")
    shutil.copytree(finished("model=fcn").folder, cell.folder)
    weights = cell.folder / "weights.pt"
    weights.write_bytes((other.folder / "weights.pt").read_bytes())
    with pytest.raises(ValueError, match=r"weights\.pt is not what the run ended with"):
        restore(cell.folder, mnist_dir)
    (cell.folder / "result.json").write_bytes((other.folder / "result.json").read_bytes())
    with pytest.raises(ValueError, match=f"the record of another run, {other.run_id}"):
        restore(cell.folder, mnist_dir)


def test_a_network_and_its_images_give_the_recorded_error(
    finished: MakeCell, distorted_mnist
) -> None:
    cell = finished("model=st_cnn", "data=mnist_rts")
    network = stn.load(cell.folder)
    test = distorted_mnist("RTS", "test")
    assert not network.training
    assert not any(type(m).__module__.startswith("stn.fast") for m in network.modules())
    with torch.no_grad():
        wrong = sum(int((network(U).argmax(1) != y).sum()) for U, y in test.batches(64))
    recorded = read_record(cell.folder / "result.json").metrics["test_error_percent"]
    assert 100 * wrong / len(test) == pytest.approx(recorded, abs=100 / len(test) + 1e-9)


def test_a_run_that_is_not_there_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a finished run"):
        stn.load(str(tmp_path / "nothing"))
    with pytest.raises(AttributeError, match="no attribute 'save'"):
        _ = stn.save
