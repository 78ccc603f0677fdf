"""The report of the peers: rows from runs, tables, and where they stand in the document."""

from pathlib import Path

import msgspec
import pytest

from bench.peers.__main__ import turns
from bench.peers.contenders import CONTENDERS
from bench.peers.report import (
    CONTENDERS_MARK,
    RESULTS_MARK,
    Report,
    contenders_markdown,
    put_between_marks,
    results_markdown,
    rows_of,
    write_json,
)
from bench.peers.run import Run

MARKED = "before\n<!-- bench-peers: results -->\n\nold\n\n<!-- bench-peers: end of results -->\nbehind\n"


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
    table = results_markdown(report_of([run("milepost", 0, None), run("quix", 0, 10.0)]), "plot.svg")
    assert "| milepost's engine | too short for a rate |" in table
    assert "| Quix Streams, at-least-once | 10 | 10 to 10 |  | 10000.0 | 2.5 | 2.0 | 100 | 900 | 1 |" in table


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
    once = put_between_marks(MARKED, RESULTS_MARK, "new")
    assert once == MARKED.replace("old", "new")
    assert put_between_marks(once, RESULTS_MARK, "new") == once


@pytest.mark.parametrize("document", ["", MARKED + MARKED, "\n".join(reversed(MARKED.splitlines()))])
def test_a_document_without_its_marks_is_refused(document: str) -> None:
    """Nothing is written where it can not be told what would be replaced."""
    with pytest.raises(ValueError, match="has not one"):
        put_between_marks(document, RESULTS_MARK, "new")


def test_the_document_says_how_contenders_are_configured() -> None:
    """`make bench-peers` can write both tables, and the one of the contenders is that of the code."""
    document = Path("docs/performance.md").read_text()
    assert put_between_marks(document, CONTENDERS_MARK, contenders_markdown()) == document
    put_between_marks(document, RESULTS_MARK, "new")


def test_each_repeat_begins_with_another_contender() -> None:
    """And has every one once."""
    order = list(turns(CONTENDERS[:3], 4))
    names = [[contender.name for contender, repeat in order if repeat == wanted] for wanted in range(4)]
    assert [each[0] for each in names] == [CONTENDERS[number].name for number in (0, 1, 2, 0)]
    assert all(sorted(each) == sorted(names[0]) for each in names)
