"""What the runs say: numbers as JSON, tables in Markdown, and the marks in a document between which they stand."""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bench.peers.contenders import CONTENDER_BY_NAME, CONTENDERS
from bench.peers.run import Run

CONTENDERS_MARK, RESULTS_MARK = "bench-peers: contenders", "bench-peers: results"


class Spread(msgspec.Struct, frozen=True):
    """Of the repeats."""

    median: float
    least: float
    greatest: float


class Row(msgspec.Struct, frozen=True):
    """One contender over its repeats, medians but for the rate. share: of the first row's rate. rated: how many repeats
    were long enough for a rate; None stands where none was."""

    contender: str
    title: str
    repeats: int
    rated: int
    rate: Spread | None
    share: float | None
    cpu_us: float | None
    broker_cpu_us: float | None
    start_s: float
    rss_mib: float
    output_records: float


class Report(msgspec.Struct, frozen=True):
    """machine: in words. All runs are there, in the order in which they were made."""

    machine: str
    versions: dict[str, str]
    events: int
    accounts: int
    partitions: int
    warm_up: float
    rows: list[Row]
    runs: list[Run]


def rows_of(runs: Sequence[Run]) -> list[Row]:
    """A row per contender that ran, in the order of the table of contenders."""
    by_name = {contender.name: [run for run in runs if run.contender == contender.name] for contender in CONTENDERS}
    rows = [_row(name, repeats) for name, repeats in by_name.items() if repeats]
    first = rows[0].rate if rows else None
    return [
        msgspec.structs.replace(row, share=row.rate.median / first.median) if row.rate and first else row
        for row in rows
    ]


def _row(name: str, runs: Sequence[Run]) -> Row:
    contender = CONTENDER_BY_NAME[name]
    rates = _known(runs, lambda run: run.rate)
    cpu_us, broker_cpu_us = _known(runs, lambda run: run.cpu_us), _known(runs, lambda run: run.broker_cpu_us)
    return Row(
        contender=name,
        title=contender.title,
        repeats=len(runs),
        rated=len(rates),
        rate=Spread(statistics.median(rates), min(rates), max(rates)) if rates else None,
        share=None,
        cpu_us=statistics.median(cpu_us) if cpu_us else None,
        broker_cpu_us=statistics.median(broker_cpu_us) if broker_cpu_us else None,
        start_s=statistics.median(run.start_s for run in runs),
        rss_mib=statistics.median(run.rss_mib for run in runs),
        output_records=statistics.median(run.output_records for run in runs),
    )


def _known(runs: Sequence[Run], value: Callable[[Run], float | None]) -> list[float]:
    return [found for run in runs if (found := value(run)) is not None]


def contenders_markdown() -> str:
    """What each contender promises and how it is configured."""
    lines = [f"| {each.title} | {each.guarantee} | {each.settings} |" for each in CONTENDERS]
    return "\n".join(["| | guarantee | configured to |", "|---|---|---|", *lines])


def results_markdown(report: Report, plot: str) -> str:
    """What was measured, on what, and the plot, whose address is given."""
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    lines = [
        f"{report.events:,} events of {report.accounts:,} accounts, {report.partitions} partitions, the first"
        f" {report.warm_up:.0%} as warm-up; {report.machine}; {versions}. Every result was equal to the expected one.",
        "",
        "| | events/s, median | least to most | of the first row's | its processor time, µs an event | the broker's"
        " | first result after, s | resident, MiB | records put out | repeats |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *map(_line, report.rows),
        "",
        f"![Events per second, median and range]({plot})",
    ]
    return "\n".join(lines)


def _line(row: Row) -> str:
    cells = [
        row.title,
        *(
            ("too short for a rate", "", "", "", "")
            if row.rate is None
            else (
                f"{row.rate.median:,.0f}",
                f"{row.rate.least:,.0f} to {row.rate.greatest:,.0f}",
                _number(row.share, ".2f"),
                _number(row.cpu_us, ".1f"),
                _number(row.broker_cpu_us, ".1f"),
            )
        ),
        f"{row.start_s:.1f}",
        f"{row.rss_mib:,.0f}",
        f"{row.output_records:,.0f}",
        str(row.repeats) if row.rated == row.repeats else f"{row.repeats}, {row.rated} with a rate",
    ]
    return f"| {' | '.join(cells)} |"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def write_json(report: Report, path: Path) -> None:
    """As a file for programs."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
