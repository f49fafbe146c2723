"""What the runs of a table cost, and what they were made with."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from stn.results.provenance import without_sweep
from stn.results.records import Record


def costs(records: Sequence[Record]) -> dict[str, Any]:
    """Add up what runs cost, failed and diverged ones included, and count what made them.

    Returns:
        `num_runs`; `wall_s`, in which runs side by side count each; `cpu_s`; `samples`; the largest
        `peak_rss_mib`; when the `first` one started and the `last` one ended (UTC); and what
        they were `made_of`, such as machines, with how many runs each, the most frequent first.
        What no run tells is None; of `cpu_s`, what one does not tell.
    """
    told = [record.num_images for record in records if record.num_images]
    parts = _counted(record.data_part for record in records if record.data_part)
    images = _counted(", ".join(f"{num} {name}" for name, num in nums.items()) for nums in told)
    return {
        "num_runs": len(records),
        "wall_s": sum(sorted(record.wall_s for record in records)),
        "cpu_s": cpu_s(records),
        "samples": sum(record.samples for record in records),
        "peak_rss_mib": max((r.peak_rss_mib for r in records if r.peak_rss_mib), default=None),
        "first": min((_minute(record.started_at) for record in records), default=None),
        "last": max((_minute(record.finished_at) for record in records), default=None),
        "commands": _counted(without_sweep(record.command) for record in records),
        "made_of": {
            "machine": _counted(record.device for record in records),
            "commit (+: with changes)": _counted(commit(record) for record in records),
            "code": _counted(record.code or "not told" for record in records),
            **({"images": images} if images else {}),
            **({"part of the data": parts} if parts else {}),
            "data, SHA-256": _counted(r.data_sha256[:12] for r in records if r.data_sha256),
            "versions": _counted(f"{k} {v}" for r in records for k, v in r.versions.items()),
        },
    }


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


def _counted(items: Iterable[str]) -> list[tuple[str, int]]:
    return sorted(Counter(items).items(), key=lambda pair: (-pair[1], pair[0]))


def _minute(timestamp: str) -> str:
    return datetime.fromisoformat(timestamp).strftime("%Y-%m-%d %H:%M")
