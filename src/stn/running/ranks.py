"""Trains one cell in several processes of this machine, one for each device.

Lightning's own ways of starting them do not fit a cell that may be one of a sweep. `ddp` runs the
whole command again for each further process, the sweep with it, and kills the sweep when one of
them dies; `ddp_spawn` and `ddp_fork` start and end processes at each of fit, validate and test,
carry loggers and callbacks across, and bring back neither their state nor the kind of an error.
Here each process, a rank, does everything from building the network to the test, while the process
of the sweep waits, keeps the lock of the cell and writes its record.
"""

import multiprocessing
import os
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

from torch.distributed import TCPStore

from stn.callbacks.progress import Stopwatch

HOST = "127.0.0.1"
GRACE_S = 10.0  # for the other ranks, when one has failed, to close what they have open
KILLED_S = 1.0  # by then the death of a rank is seen, after others felt it


class RankError(RuntimeError):
    """A rank was killed, or ended without saying why."""


class Ended(NamedTuple):
    """How a rank ended: what it measured or what went wrong, and its times."""

    measured: dict[str, Any]
    error: Exception | None
    stopwatch: Stopwatch


def run_ranks(
    num_ranks: int, train: Callable[..., dict[str, Any]], code: str | None, *arguments: Any
) -> Ended:
    """Run `train(*arguments, stopwatch, rank)` in processes that Lightning's "ddp" will connect.

    Args:
        num_ranks: processes.
        train: returns what it measured.
        code: of the stopwatches.
        arguments: of `train`.

    Returns:
        How the first rank to fail ended, or rank zero if none did. No rank is left running.

    Raises:
        RankError: a rank was killed, or its outcome cannot be sent.
    """
    # The store is held here, where a port is found and bound at once: no rank can lose it.
    listener = socket.create_server((HOST, 0))  # torch itself would listen to every network
    store = TCPStore(
        HOST,
        listener.getsockname()[1],
        is_master=True,
        wait_for_workers=False,
        master_listen_fd=listener.detach(),
    )
    spawn = multiprocessing.get_context("spawn")
    ranks: dict[Connection, BaseProcess] = {}
    try:
        for rank in range(num_ranks):
            reader, writer = spawn.Pipe(duplex=False)
            process = spawn.Process(
                target=_run_rank,
                args=(writer, rank, store.port, train, Stopwatch(code), arguments),
                daemon=True,
            )
            with _starting():
                process.start()
            writer.close()  # the rank has the only one: its death ends the pipe
            ranks[reader] = process
        ended = _first_failure(ranks)
        deadline = time.monotonic() + GRACE_S
        for started in ranks.values():
            started.join(max(0.0, deadline - time.monotonic()))
        return ended
    finally:
        for started in ranks.values():
            started.kill()
            started.join()


def _first_failure(ranks: dict[Connection, BaseProcess]) -> Ended:
    """Wait until a rank fails or all have ended; return how that one, or rank zero, ended.

    What the others say when one was killed, of a lost connection, is not why the run failed.
    """
    ended: dict[Connection, Ended] = {}
    failed: Ended | None = None
    while len(ended) < len(ranks):
        running = [reader for reader in ranks if reader not in ended]
        ready = wait(running, None if failed is None else KILLED_S)
        if not ready:
            break
        for reader in ready:
            assert isinstance(reader, Connection)
            try:
                ended[reader] = reader.recv()
            except EOFError:
                ranks[reader].join()
                rank, code = list(ranks).index(reader), ranks[reader].exitcode
                raise RankError(f"rank {rank} ended with exit code {code}") from None
            if failed is None and ended[reader].error is not None:
                failed = ended[reader]
    return failed or ended[next(iter(ranks))]


def _run_rank(
    writer: Connection,
    rank: int,
    port: int,
    train: Callable[..., dict],
    stopwatch: Stopwatch,
    arguments: tuple,
) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ |= {
        "NODE_RANK": "0",
        "LOCAL_RANK": str(rank),  # tells Lightning not to start processes itself
        "MASTER_ADDR": HOST,
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # torch's word for a store that is held elsewhere
    }
    try:
        ended = Ended(train(*arguments, stopwatch, rank), None, stopwatch)
    except Exception as error:
        error.add_note(f"On rank {rank}:\n{traceback.format_exc()}")
        ended = Ended({}, error, stopwatch)
    writer.send(ended)


def _end_with_parent() -> None:
    """End this process when its parent does, even by kill -9: nobody else would, and it writes."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextmanager
def _starting() -> Iterator[None]:
    """Have the processes that are started here never see Ctrl-C, which this one acts upon.

    And tell them of no other way to start processes: joblib's workers have one, "loky", by which a
    process that Python spawns cannot begin.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    method = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("spawn", force=True)
    try:
        yield
    finally:
        multiprocessing.set_start_method(method, force=True)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
