"""Measures inside the finished networks of a table or study, and writes it into their records."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from torch import nn

from stn.files.locks import held
from stn.files.run_files import RESULT, WEIGHTS
from stn.results.records import Record, read_record_of, write_record
from stn.results.table import PlannedRun, Table
from stn.running.building import instantiate
from stn.running.preparing import build_data, build_task
from stn.running.restoring import load_network, restore


def measure_runs(
    table: Table,
    runs: Sequence[PlannedRun],
    source: Path,
    data_dir: str | Path,
    packages: Sequence[str] = (),
) -> Iterator[str]:
    """Measure what a table asks for and the records of its runs do not tell yet.

    Args:
        table: with `measures`.
        runs: of the table.
        source: folder of the runs, with their weights.
        data_dir: where the data are.
        packages: whose classes may be built besides this project's.

    Yields:
        A line for each run that was measured, or could not be.

    Raises:
        OSError, ValueError: as of `restore`; or a measure does not go with the table's networks.
    """
    there = {run.run_id: run for run in runs if (source / run.run_id / RESULT).exists()}
    for run in there.values():
        folder = source / run.run_id
        record = read_record_of(folder)
        missing = {
            name: asked.build
            for name, asked in table.measures.items()
            if asked.build is not None and name not in record.metrics
        }
        if record.status != "finished" or not missing:
            continue
        if not (folder / WEIGHTS).exists():
            yield f"{run.run_id}: not measured, its weights are not here"
            continue
        cell, task = restore(folder, data_dir, packages, fast=False)
        data, found = build_data(cell), {}
        for name, build in missing.items():
            measure = instantiate(build, packages)
            reference: nn.Module | None = None
            if measure.reference is not None:
                others = (r for r in there.values() if r.row == measure.reference)
                same = [r for r in others if (r.column, r.seed) == (run.column, run.seed)]
                if not same or not (source / same[0].run_id / WEIGHTS).exists():
                    yield f"{run.run_id}: no {name}, for want of the weights of {measure.reference}"
                    continue
                reference = load_network(source / same[0].run_id, packages)
            of_start = measure.untrained
            measured = build_task(cell).eval() if of_start else task.eval()
            value = measure(measured, data, reference)
            if value is not None:
                found[name] = value
        with held(folder):  # others may have measured in the meantime
            record = read_record_of(folder)
            metrics = {"metrics": record.metrics | found}
            write_record(folder / RESULT, Record(**record.model_dump() | metrics))
        yield f"{run.run_id}: " + (", ".join(f"{k} {v:.4g}" for k, v in found.items()) or "nothing")
