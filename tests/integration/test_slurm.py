"""A sweep on a real Slurm cluster of one node, which slurm.sh starts on this machine."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from stn.results.collect import collect
from tests.sweeps import end, has_checkpoint, run, same, start, wait_until, weights

SCRIPT = Path(__file__).with_name("slurm.sh")
SLURM = ["hydra/launcher=submitit_slurm", "hydra.launcher.mem_gb=2"]
MISSING = [name for name in ("slurmctld", "slurmd", "munged") if shutil.which(name) is None]

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(bool(MISSING), reason=f"no {', '.join(MISSING)} (slurm-wlm, munge)"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root starts a Slurm cluster"),
]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        try:
            subprocess.run([SCRIPT, "start", folder], check=True)
            patch.setenv("SLURM_CONF", f"{folder}/slurm.conf")
            yield
        finally:
            subprocess.run([SCRIPT, "stop", folder], check=True)


def queue() -> list[str]:
    """The jobs that are not over."""
    command = ["squeue", "--noheader", "--format=%A", "--states=PENDING,RUNNING,COMPLETING"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """Where the sweep of one cell was run to its end in its own process."""
    assert run(tmp_path / "whole", "recipe.max_steps=60")[0] == 0
    return tmp_path / "whole"


def test_a_sweep_of_three_cells(tmp_path: Path) -> None:
    code, said = run(tmp_path, *SLURM, "seed=0,1,2", "recipe.max_steps=12")
    print(said)
    assert code == 0
    records = collect(tmp_path).records
    assert [(record.status, record.seed) for record in records] == [
        ("finished", 0),
        ("finished", 1),
        ("finished", 2),
    ]
    assert (
        "3 cells, 3 already done" in run(tmp_path, *SLURM, "seed=0,1,2", "recipe.max_steps=12")[1]
    )


def test_a_killed_job_goes_on_with_the_same_command(tmp_path: Path, whole: Path) -> None:
    killed = tmp_path / "killed"
    sweep = start(killed, *SLURM, "recipe.max_steps=60")
    wait_until(lambda: has_checkpoint(killed))
    subprocess.run(["scancel", *queue()], check=True)
    wait_until(lambda: not queue())
    # Without accounting nobody tells submitit that the job is over; with it the sweep ends itself.
    sweep.send_signal(signal.SIGINT)
    code, said = end(sweep)
    print(said)
    assert code == 1
    assert "the same command goes on" in said
    assert not collect(killed).records

    code, said = run(killed, *SLURM, "recipe.max_steps=60")
    assert code == 0, said
    assert same(weights(killed), weights(whole))


def test_a_job_that_is_preempted_goes_back_into_the_queue(tmp_path: Path, whole: Path) -> None:
    """Slurm's warning before preemption is this signal."""
    warned = tmp_path / "warned"
    sweep = start(warned, *SLURM, "recipe.max_steps=60")
    wait_until(lambda: has_checkpoint(warned))
    subprocess.run(["scancel", "--signal=USR2", *queue()], check=True)
    code, said = end(sweep, timeout_s=600)  # Slurm lets a requeued job wait for two minutes
    print(said)
    assert code == 0
    (log,) = warned.glob(".submitit/*/*_log.err")
    assert "this job is preempted" in log.read_text()
    assert same(weights(warned), weights(whole))


def test_a_cell_that_takes_longer_than_the_time_limit_is_finished(tmp_path: Path) -> None:
    """Two minutes are the shortest limit of which Slurm can warn: up to a minute too early."""
    cell = ["recipe.max_steps=2500"]
    limit = ["hydra.launcher.timeout_min=2", "hydra.launcher.signal_delay_s=30"]
    code, said = run(tmp_path / "limited", *SLURM, *limit, *cell, timeout_s=1200)
    print(said)
    assert code == 0
    (log,) = tmp_path.glob("limited/.submitit/*/*_log.err")
    assert "this job is timed-out" in log.read_text()
    assert run(tmp_path / "whole", *cell, timeout_s=600)[0] == 0
    assert same(weights(tmp_path / "limited"), weights(tmp_path / "whole"))
