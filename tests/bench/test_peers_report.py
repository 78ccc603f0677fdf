"""The report of the peers: rows from runs, tables, and where they stand in the document."""

from pathlib import Path

import msgspec
import pytest

from bench.document import put_between
from bench.peers.__main__ import turns
from bench.peers.contenders import CONTENDERS
from bench.peers.job import State, encode_state
from bench.peers.observer import Look, Output
from bench.peers.report import (
    CONTENDERS_MARK,
    RESULTS_MARK,
    Report,
    contenders_markdown,
    results_markdown,
    rows_of,
    write_json,
)
from bench.peers.run import Run, run_of

MARKED = "before\n<!-- bench-peers: results -->\n\nold\n\n<!-- end of bench-peers: results -->\nbehind\n"


def run(contender: str, repeat: int, rate: float | None) -> Run:
    """A run of this rate; all else is made up."""
    return Run(
        contender=contender,
        repeat=repeat,
        rate=rate,
        measured_events=800,
        measured_s=4.0 if rate else 0.1,
        start_s=2.0 + repeat,
        cpu_us=rate and 1e5 / rate,
        broker_cpu_us=rate and 2.5,
        rss_mib=100 * (repeat + 1),
        output_records=900 + repeat,
    )


def report_of(runs: list[Run]) -> Report:
    """The report of some runs on a machine that is not."""
    return Report(
        machine="2 cores",
        versions={"Kafka": "1", "Quix": "2"},
        events=1_000,
        accounts=50,
        partitions=4,
        warm_up=0.2,
        rows=rows_of(runs),
        runs=runs,
    )


def looks_of(*seen: tuple[float, int, int]) -> list[Look]:
    """Looks of (second, offset until which partition 0 and 2 are visible); each second takes 0.5 s of the contender's
    processor and 0.25 s of the broker's."""
    return [Look(at_s, (first, 0, third, 0), at_s / 2, int(at_s) << 20, at_s / 4) for at_s, first, third in seen]


def test_a_rate_is_from_the_warm_up_to_the_last_event() -> None:
    """Between the first look with as many events as the warm-up and the first with all; an offset that no record has,
    as marks of transactions, changes nothing."""
    output = Output("nowhere", "output")
    for partition, offset, key, count in ((0, 1, b"a", 30), (0, 3, b"a", 50), (2, 1, b"b", 40), (2, 2, b"b", 50)):
        output.take(partition, offset, key, encode_state(State(count=count)))
    looks = looks_of((101, 1, 0), (102, 2, 0), (104, 2, 2), (109, 4, 3), (112, 4, 3))
    found = run_of("quix", 3, (60, 100), 100.0, looks, output)
    assert (found.start_s, found.measured_events, found.measured_s, found.rate) == (2.0, 30, 5.0, 6.0)
    assert (found.rss_mib, found.output_records, found.repeat) == (112, 4, 3)
    assert (found.cpu_us, found.broker_cpu_us) == (pytest.approx(2.5e6 / 30), pytest.approx(1.25e6 / 30))
    short = run_of("quix", 3, (60, 70), 100.0, looks, output)
    assert (short.rate, short.cpu_us, short.broker_cpu_us, short.measured_events) == (None, None, None, 0)


def test_a_row_is_the_median_and_the_range_of_its_runs() -> None:
    """Rows stand in the contenders' order, whatever that of the runs, and are compared with the first of them."""
    runs = [run("quix", 0, 50.0), run("milepost", 0, 90.0), run("milepost", 1, 200.0), run("milepost", 2, 100.0)]
    first, second = rows_of(runs)
    assert (first.contender, second.contender) == ("milepost", "quix")
    assert first.rate is not None
    assert (first.rate.median, first.rate.least, first.rate.greatest) == (100.0, 90.0, 200.0)
    assert (first.share, second.share) == (1.0, 0.5)
    assert (first.cpu_us, first.start_s, first.rss_mib, first.output_records, first.repeats) == (1e3, 3.0, 200, 901, 3)


def test_a_run_that_was_too_short_has_no_rate() -> None:
    """It says so, and what is compared with it says nothing."""
    (row,) = rows_of([run("quix", 0, None)])
    assert (row.rate, row.share, row.cpu_us) == (None, None, None)
    runs = [run("milepost", 0, None), run("quix", 0, 10.0), run("quix", 1, None)]
    table = results_markdown(report_of(runs), "plot.svg")
    assert "| milepost's engine | too short for a rate |" in table
    assert "| Quix Streams, at-least-once | 10 | 10 to 10 |  | 10000.0 | 2.5 | 2.5 | 150 |" in table
    assert "| 2, 1 with a rate |" in table


def test_the_table_has_a_cell_per_column() -> None:
    """Whether there is a rate or not; the plot is shown behind it."""
    text = results_markdown(report_of([run("milepost", 0, None), run("quix", 0, 1234.5)]), "performance/peers.svg")
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in table}) == 1
    assert "1,234" in text
    assert "1,000 events of 50 accounts, 4 partitions, the first 20% as warm-up; 2 cores; Kafka 1, Quix 2" in text
    assert "](performance/peers.svg)" in text


def test_the_json_is_the_whole_report(tmp_path: Path) -> None:
    """Rows and every run."""
    report = report_of([run("milepost", 0, 10.0), run("milepost", 1, None)])
    write_json(report, tmp_path / "peers.json")
    assert msgspec.json.decode((tmp_path / "peers.json").read_bytes(), type=Report) == report


def test_results_replace_the_former_ones() -> None:
    """What stands outside of the marks stays, and writing the same again changes nothing."""
    once = put_between(MARKED, RESULTS_MARK, "new")
    assert once == MARKED.replace("old", "new")
    assert put_between(once, RESULTS_MARK, "new") == once


@pytest.mark.parametrize("document", ["", MARKED + MARKED, "\n".join(reversed(MARKED.splitlines()))])
def test_a_document_without_its_marks_is_refused(document: str) -> None:
    """Nothing is written where it can not be told what would be replaced."""
    with pytest.raises(ValueError, match="has not one"):
        put_between(document, RESULTS_MARK, "new")


def test_the_document_says_how_contenders_are_configured() -> None:
    """`make bench-peers` can write both tables, and the one of the contenders is that of the code."""
    document = Path("docs/performance.md").read_text()
    assert put_between(document, CONTENDERS_MARK, contenders_markdown()) == document
    put_between(document, RESULTS_MARK, "new")


def test_each_repeat_begins_with_another_contender() -> None:
    """And has every one once."""
    order = list(turns(CONTENDERS[:3], 4))
    names = [[contender.name for contender, repeat in order if repeat == wanted] for wanted in range(4)]
    assert [each[0] for each in names] == [CONTENDERS[number].name for number in (0, 1, 2, 0)]
    assert all(sorted(each) == sorted(names[0]) for each in names)
