"""What the runs of a table cost, and what they were made with."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from stn.results.records import Record

Counted = tuple[tuple[str, int], ...]  # the most frequent first


@dataclass(frozen=True)
class Costs:
    """Totals over runs, failed and diverged ones included.

    Attributes:
        wall_s: time of all runs, added up; runs side by side count each.
        cpu_s: processor time of all runs; None if a run does not tell.
        samples: training images seen.
        peak_rss_mib: of the largest run; None if no run tells.
        first, last: when the first run started and the last one ended (UTC); None without runs.
    """

    num_runs: int
    wall_s: float
    cpu_s: float | None
    samples: int
    peak_rss_mib: float | None
    first: str | None
    last: str | None
    commits: Counted
    codes: Counted
    commands: Counted
    devices: Counted
    versions: Counted
    data: Counted


def costs(records: Sequence[Record]) -> Costs:
    """Add up what runs cost."""
    return Costs(
        num_runs=len(records),
        wall_s=sum(sorted(record.wall_s for record in records)),
        cpu_s=cpu_s(records),
        samples=sum(record.samples for record in records),
        peak_rss_mib=max((r.peak_rss_mib for r in records if r.peak_rss_mib), default=None),
        first=min((_minute(record.started_at) for record in records), default=None),
        last=max((_minute(record.finished_at) for record in records), default=None),
        commits=_counted(commit(record) for record in records),
        codes=_counted(record.code or "not told" for record in records),
        commands=_counted(record.command for record in records),
        devices=_counted(record.device for record in records),
        versions=_counted(f"{k} {v}" for record in records for k, v in record.versions.items()),
        data=_counted(r.data_sha256[:12] for r in records if r.data_sha256),
    )


def cpu_s(records: Sequence[Record]) -> float | None:
    """Add up the processor time of runs; None if there is none, or one does not tell."""
    times = [record.cpu_s for record in records if record.cpu_s is not None]
    return sum(sorted(times)) if times and len(times) == len(records) else None


def core_s(record: Record) -> float:
    """Return the seconds that a run took of one core.

    They are processor time where the run tells it: on a loaded machine the watch counts what others
    took. Else they are wall time.
    """
    return record.wall_s if record.cpu_s is None else record.cpu_s


def hours_for(samples: int, record: Record) -> float | None:
    """Return the hours of one core that a run would train for on so many samples, if it tells."""
    if not record.step_ms or not record.wall_s:
        return None
    step_ms = record.step_ms * core_s(record) / record.wall_s  # without what other processes took
    return step_ms / record.batch_size * samples / 3_600_000


def commit(record: Record) -> str:
    """Return a short commit, with a plus sign where the code differed from it."""
    return record.git_sha[:7] + ("+" if record.git_dirty else "")


def _counted(items: Iterable[str]) -> Counted:
    return tuple(sorted(Counter(items).items(), key=lambda pair: (-pair[1], pair[0])))


def _minute(timestamp: str) -> str:
    return datetime.fromisoformat(timestamp).strftime("%Y-%m-%d %H:%M")
