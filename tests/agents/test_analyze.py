"""`milepost analyze` and `milepost demo` as a user runs them, on real files and a real Kafka."""

import fcntl
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
from click.testing import CliRunner, Result
from kafka.admin import KafkaAdminClient

from agents.main import cli
from streams.broker import EmbeddedBroker
from tests.shared_data import shared_data

EXAMPLES = Path(__file__).parents[2] / "examples"


def analyze(kafka: EmbeddedBroker, tmp_path: Path, file: Path, mapping: str, definitions: str) -> Result:
    """Runs it into `tmp_path / "out"`; it checks itself and ends with 1 when a number differs."""
    arguments = [
        "analyze", "--file", str(file), "--mapping", str(EXAMPLES / "mappings" / mapping),
        "--definitions", str(EXAMPLES / "definitions" / definitions), "--out", str(tmp_path / "out"),
        "--folder", str(tmp_path / "folder"), "--bootstrap-servers", kafka.bootstrap_servers,
    ]  # fmt: skip
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def body_of(tmp_path: Path, analysis: str) -> dict[str, Any]:
    """The figures of one analysis."""
    body: dict[str, Any] = json.loads((tmp_path / "out" / f"{analysis}.json").read_text())["body"]
    return body


def test_bpic_2012_gives_its_known_figures(kafka: EmbeddedBroker, tmp_path: Path) -> None:
    """Canvas, fallout and the directly-follows graph of 13,087 real loan applications."""
    log = shared_data("bpic2012", "bpic2012.xes.gz")
    analyze(kafka, tmp_path, log, "bpic2012.yaml", "bpic2012.yaml")
    nodes = body_of(tmp_path, "application")["nodes"]
    assert [figures[0] for figures in nodes.values()] == [13_087, 7_367, 5_015, 3_254, 2_246]
    assert [figures[5] for figures in nodes.values()] == [5_720, 2_352, 1_761, 1_008, None]
    transitions: dict[tuple[str, str], int] = {}
    for _, origin, _, target, count in body_of(tmp_path, "steps")["links"]:
        transitions[origin, target] = transitions.get((origin, target), 0) + count
    assert (len(transitions), sum(transitions.values())) == (138, 151_419)


def test_cdnow_gives_the_cohort_of_an_independent_query(kafka: EmbeddedBroker, tmp_path: Path) -> None:
    """Customers by the month of their first purchase, and in how many later months they buy again."""
    purchases = shared_data("cdnow", "CDNOW_master.txt")
    analyze(kafka, tmp_path, purchases, "cdnow.yaml", "cdnow.yaml")
    plain = tmp_path / "plain.csv"
    plain.write_text("\n".join(",".join(line.split()[:2]) for line in purchases.read_text().splitlines()[1:]))
    expected = duckdb.sql(
        f"""
        with purchase as (
            select customer, day, row_number() over (partition by customer order by day) as number
            from read_csv('{plain}', header=false, dateformat='%Y%m%d',
                          columns={{'customer': 'varchar', 'day': 'date'}})
        ), first as (
            select customer, date_trunc('month', day) as month from purchase where number = 1
        )
        select strftime(first.month, '%Y-%m'), date_diff('month', first.month, purchase.day) as k,
               count(distinct purchase.customer)
        from purchase join first using (customer) where number > 1 group by all
        """
    ).fetchall()
    counts = {(month, k): count for month, k, count in expected}
    rows = body_of(tmp_path, "repeat-buyers")["rows"]
    assert sum(included for _, included, _ in rows) == 23_570
    assert {(month, k): count for month, _, cells in rows for k, count in enumerate(cells) if count} == {
        place: count for place, count in counts.items() if place[1] <= 17
    }


def test_a_dirty_crm_export_goes_through_with_every_bad_row_accounted_for(
    kafka: EmbeddedBroker, tmp_path: Path
) -> None:
    """8,800 rows: 500 rejected for their date, 1,088 events without an account, the rest in the results."""
    export = EXAMPLES / "maven_crm" / "sales_pipeline.csv"
    result = analyze(kafka, tmp_path, export, "maven_crm.yaml", "maven_crm.yaml")
    assert "8,800" in result.output
    rejects = (tmp_path / "out" / "sales_pipeline.csv.rejects.ndjson").read_text().splitlines()
    assert len(rejects) == 500
    body = body_of(tmp_path, "created-to-closed")
    created, won, lost = (figures[0] for figures in body["nodes"].values())
    expected = duckdb.sql(
        f"""select count(*), count(*) filter (deal_stage = 'Won'), count(*) filter (deal_stage = 'Lost')
            from read_csv('{export}') where account is not null and engage_date is not null"""
    ).fetchall()
    assert [(created, won, lost)] == expected
    assert_sectors(body_of(tmp_path, "won-by-sector"), export)


def assert_sectors(body: dict[str, Any], export: Path) -> None:
    """Won within twelve months by sector, and how long that took, as a query of the export has it."""
    expected = duckdb.sql(
        f"""
        with deal as (
            select sector, deal_stage = 'Won' and date_diff('month', engage_date, close_date) <= 12 as won,
                   date_diff('second', engage_date::timestamp, close_date::timestamp + interval 86399 second) as took
            from read_csv('{export}') as deal left join read_csv('{export.parent / "accounts.csv"}') as known
                 on known.account = deal.account
            where deal.account is not null and engage_date is not null)
        select sector, count(*), count(*) filter (won), quantile_disc(took, 0.5) filter (won) from deal group by sector
        """
    ).fetchall()
    found = {
        sector: (included, cells[12], velocity[2])
        for (sector, included, cells), velocity in zip(body["rows"], body["velocity"], strict=True)
    }
    assert found.keys() == {sector for sector, _, _, _ in expected}
    for sector, included, won, median_s in expected:
        assert found[sector][:2] == (included, won)
        assert median_s <= found[sector][2] <= median_s * 33 / 32


def test_a_wrong_file_is_told_before_anything_starts(tmp_path: Path) -> None:
    """A mapping is no definition file: the first line names file, place and what would be right."""
    mapping = EXAMPLES / "mappings" / "contacts.yaml"
    command = ["analyze", "--file", str(EXAMPLES / "mappings" / "contacts.csv"), "--mapping", str(mapping)]
    result = CliRunner().invoke(cli, [*command, "--definitions", str(mapping), "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "contacts.yaml:" in str(result.exception)


def test_the_demo_ends_with_equal_numbers(kafka: EmbeddedBroker, tmp_path: Path) -> None:
    """Small, on a Kafka that is named: it generates, processes, draws and checks."""
    arguments = ["demo", "--events", "8000", "--accounts", "200", "--folder", str(tmp_path)]
    result = CliRunner().invoke(
        cli, [*arguments, "--bootstrap-servers", kafka.bootstrap_servers], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    assert result.output.count("equal") == 3
    with closing(KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)) as admin:
        assert [name for name in admin.list_topics() if name.startswith("demo")] == []


def test_two_demos_never_share_a_folder(tmp_path: Path) -> None:
    """The second is refused before it deletes anything of the first."""
    (tmp_path / "demo").mkdir()
    with (tmp_path / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = CliRunner().invoke(cli, ["demo", "--folder", str(tmp_path)])
    assert "a demo is running already" in str(result.exception)
    assert (tmp_path / "demo").exists()
