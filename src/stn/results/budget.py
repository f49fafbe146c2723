"""What a table costs, and what it would cost with the paper's schedule, from its records.

    python -m stn.results.budget results/table1/quick

prints the sums of docs/scaling.md as Markdown. The arithmetic is: time of a training step, over its
images, times the images that the paper's networks see (150,000 x 256). Validation and tests are
left out of the extrapolation, because they do not grow with the number of steps. Times are those of
`core_s`.
"""

import sys
from collections.abc import Mapping, Sequence
from statistics import mean

from stn.results.collect import collect
from stn.results.costs import core_s
from stn.results.records import Record

MS_PER_H, S_PER_H = 3_600_000, 3_600


def tells_costs(record: Record) -> bool:
    """Tell whether a run is finished and its record has what a budget is made of."""
    data = record.config.get("data")
    size = data.get("image_size") if isinstance(data, Mapping) else None
    is_size = isinstance(size, list | tuple) and [type(side) for side in size] == [int, int]
    told = is_size and record.step_ms and record.paper_samples and record.wall_s
    return record.status == "finished" and bool(told)


def step_ms(record: Record) -> float:
    """Return the time of a training step, without what other processes took of it."""
    assert record.step_ms is not None
    return record.step_ms * core_s(record) / record.wall_s


def paper_h(record: Record) -> float:
    """Return the hours that the cell of a record would train with the paper's schedule."""
    assert record.paper_samples is not None
    return step_ms(record) / record.batch_size * record.paper_samples / MS_PER_H


def budget(records: Sequence[Record]) -> str:
    """Return the costs of finished records as Markdown: by network and image size, and summed.

    Raises:
        ValueError: there is no finished record.
    """
    done = [record for record in records if tells_costs(record)]
    if not done:
        raise ValueError("there is no finished record of the paper's cells here")
    lines = [
        "| network | image | cells | step, ms | ms an image | core, s | paper's schedule, h |",
        "|-|-|-|-|-|-|-|",
    ]
    keys = sorted({_key(record) for record in done})
    lines += [_line(key, [r for r in done if _key(r) == key]) for key in keys]
    return "\n".join([*lines, "", *_sums(done)])


def _key(record: Record) -> tuple[str, str, int]:
    return record.model, record.transform or "", record.config["data"]["image_size"][0]


def _line(key: tuple[str, str, int], cells: list[Record]) -> str:
    model, transform, size = key
    image_ms = mean(step_ms(record) / record.batch_size for record in cells)
    seconds, hours = mean(core_s(r) for r in cells), mean(paper_h(r) for r in cells)
    network = f"{model} {transform}".strip()
    return (
        f"| {network} | {size} x {size} | {len(cells)} | {mean(map(step_ms, cells)):.1f} "
        f"| {image_ms:.3f} | {seconds:.0f} | {hours:.1f} |"
    )


def _sums(done: list[Record]) -> list[str]:
    seeds, hours = len({record.seed for record in done}), [paper_h(record) for record in done]
    core_h = sum(map(core_s, done)) / S_PER_H
    training_h = sum(step_ms(r) * r.steps for r in done) / MS_PER_H
    return [
        f"- {len(done)} cells, {seeds} seed(s): {core_h:.2f} core-hours, "
        f"of which {100 * training_h / core_h:.0f} % are training steps; "
        f"{core_h / seeds:.2f} core-hours for each seed.",
        f"- The same cells with the paper's schedule: {sum(hours):.0f} core-hours; "
        f"{sum(hours) / seeds:.0f} for each seed.",
        f"- The longest of them: {max(hours):.0f} h on one core.",
    ]


def main(arguments: Sequence[str]) -> None:
    """Print the costs of the records in a folder; name those that cannot be read."""
    if len(arguments) != 1:
        sys.exit("usage: python -m stn.results.budget FOLDER")
    found = collect(arguments[0])
    for problem in found.problems:
        print(f"cannot use {problem.path}: {problem.reason}", file=sys.stderr)
    for record in found.records:
        if record.status == "finished" and not tells_costs(record):
            print(f"left out: {record.run_id} does not tell what it cost", file=sys.stderr)
    try:
        print(budget(found.records))
    except ValueError as error:
        sys.exit(f"{error}: {arguments[0]}; usage: python -m stn.results.budget FOLDER")


if __name__ == "__main__":
    main(sys.argv[1:])
