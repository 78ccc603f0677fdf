"""Importing files: into a real Kafka, and dry; cut off and gone on with."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from kafka import KafkaConsumer, TopicPartition

from agents.commands.import_file import command
from agents.importing import ImportReport, Progress, import_file
from agents.settings import Settings
from streams.admin import end_offsets
from streams.broker import EmbeddedBroker
from streams.errors import UnavailableError, UsageError
from streams.topics import topic_name

EXAMPLES = Path(__file__).parents[2] / "examples"
PIPELINE = EXAMPLES / "maven_crm" / "sales_pipeline.csv"
MAVEN = EXAMPLES / "mappings" / "maven_crm.yaml"
ROWS, EVENTS, REJECTED = 8_800, 15_011, 500


@pytest.fixture
def settings(tmp_path: Path, prefix: str) -> Settings:
    """Settings with a folder and topics of the test's own."""
    return Settings(folder=tmp_path / "user", prefix=prefix, partitions=2)


def stored(kafka: EmbeddedBroker, settings: Settings) -> list[dict[str, Any]]:
    topic = topic_name("crm-events", settings.prefix, 0)
    ends = end_offsets(kafka.bootstrap_servers, topic)
    consumer = KafkaConsumer(bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(topic, partition) for partition in ends])
    found: list[dict[str, Any]] = []
    while len(found) < sum(ends.values()):
        for records in consumer.poll(timeout_ms=10_000).values():
            found += [json.loads(record.value) for record in records]
    consumer.close()
    return found


def rejected_rows(report: ImportReport) -> list[int]:
    assert report.rejects_path is not None
    return [json.loads(line)["row"] for line in report.rejects_path.read_text().splitlines()]


@pytest.mark.broker
def test_every_row_is_sent_or_reported(kafka: EmbeddedBroker, settings: Settings) -> None:
    """A dirty export: the events are on the topic, the ends are the topic's, the rejects are in their file."""
    report = import_file(PIPELINE, MAVEN, kafka.bootstrap_servers, settings)
    events = stored(kafka, settings)
    assert (report.tally.rows, report.tally.events, report.tally.rows_rejected) == (ROWS, EVENTS, REJECTED)
    assert (report.tally.rows_without_account, report.tally.events_without_account) == (1_425, 1_088)
    assert len(events) == len({event["event_id"] for event in events}) == EVENTS
    topic = topic_name("crm-events", settings.prefix, 0)
    ends = end_offsets(kafka.bootstrap_servers, topic)
    assert report.end_offsets == {(topic, partition): end for partition, end in ends.items()}
    assert len(set(rejected_rows(report))) == REJECTED
    assert report.finished


@pytest.mark.broker
def test_finished_import_is_not_repeated(kafka: EmbeddedBroker, settings: Settings, tmp_path: Path) -> None:
    """The same file again sends nothing and reports the same, until a restart is asked for."""
    first = import_file(PIPELINE, MAVEN, kafka.bootstrap_servers, settings, limit=None)
    again = import_file(PIPELINE, MAVEN, kafka.bootstrap_servers, settings, rejects_path=tmp_path / "mine.ndjson")
    assert (again.tally, again.end_offsets, again.rows_before) == (first.tally, first.end_offsets, ROWS)
    assert rejected_rows(again) == rejected_rows(first)
    assert len(stored(kafka, settings)) == EVENTS
    import_file(PIPELINE, MAVEN, kafka.bootstrap_servers, settings, restart=True)
    events = stored(kafka, settings)
    assert len(events) == 2 * EVENTS
    assert len({event["event_id"] for event in events}) == EVENTS


@pytest.mark.broker
def test_import_cut_off_goes_on(kafka: EmbeddedBroker, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import that ends at any row goes on after the last acknowledged one; nothing is missing."""
    monkeypatch.setattr("agents.importing.CHECKPOINT_S", 0.0)
    for row in (1_000, 8_400):

        def stop(progress: Progress, row: int = row) -> None:
            if progress.rows >= row:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            import_file(PIPELINE, MAVEN, kafka.bootstrap_servers, settings, progress=stop)
    report = import_file(PIPELINE, MAVEN, kafka.bootstrap_servers, settings)
    assert 7_500 <= report.rows_before <= 8_500
    assert (report.tally.rows, report.tally.events, report.tally.rows_rejected) == (ROWS, EVENTS, REJECTED)
    assert rejected_rows(report) == sorted(set(rejected_rows(report)))
    assert len(rejected_rows(report)) == REJECTED
    assert len({event["event_id"] for event in stored(kafka, settings)}) == EVENTS


@pytest.mark.broker
def test_limit_is_a_part_of_the_whole(kafka: EmbeddedBroker, settings: Settings) -> None:
    """A limited import sends the first rows, and one without limit the rest."""
    part = import_file(PIPELINE, MAVEN, kafka.bootstrap_servers, settings, limit=700)
    assert (part.tally.rows, part.finished) == (700, False)
    whole = import_file(PIPELINE, MAVEN, kafka.bootstrap_servers, settings)
    assert (whole.rows_before, whole.tally.rows, whole.finished) == (700, ROWS, True)
    assert len(stored(kafka, settings)) == EVENTS


@pytest.mark.broker
def test_changed_mapping_or_topic_is_another_import(kafka: EmbeddedBroker, settings: Settings, tmp_path: Path) -> None:
    """A file that was imported with another mapping, or to another prefix, is imported from its first row."""
    import_file(PIPELINE, MAVEN, kafka.bootstrap_servers, settings, limit=100)
    (tmp_path / "maven_crm").symlink_to(EXAMPLES / "maven_crm")
    (tmp_path / "mappings").mkdir()
    changed = tmp_path / "mappings" / "m.yaml"
    changed.write_text(MAVEN.read_text().replace("Opportunity Created", "Opened"))
    assert import_file(PIPELINE, changed, kafka.bootstrap_servers, settings, limit=100).rows_before == 0
    other = settings.model_copy(update={"prefix": f"{settings.prefix}x"})
    assert import_file(PIPELINE, MAVEN, kafka.bootstrap_servers, other, limit=100).rows_before == 0


def test_dry_run_needs_no_kafka(settings: Settings, tmp_path: Path) -> None:
    """A dry run counts everything, shows events, and leaves nothing behind but the rejects that were asked for."""
    seen: list[Progress] = []
    rejects = tmp_path / "rejects.ndjson"
    report = import_file(PIPELINE, MAVEN, None, settings, progress=seen.append, rejects_path=rejects)
    assert (report.tally.rows, report.tally.events, report.end_offsets) == (ROWS, EVENTS, {})
    assert len(rejected_rows(report)) == REJECTED
    assert json.loads(report.samples[0])["event_id"] == "1C1I7A6R-created"
    assert seen[-1].rows == ROWS
    assert seen[-1].bytes_total == PIPELINE.stat().st_size
    assert not settings.folder.exists()


def test_command_shows_what_rows_became(tmp_path: Path) -> None:
    """The summary has rows, events by type, rejects by reason and what has no account."""
    said = CliRunner().invoke(command, [str(PIPELINE), "-m", str(MAVEN), "--dry-run", "--folder", str(tmp_path)])
    assert said.exit_code == 0, said.output
    lines = {" ".join(line.replace("│", " ").split()) for line in said.output.splitlines()}
    assert {
        "rows 8,800",
        "without an account 1,425",
        "rejected 500",
        "event_time: no value 500",
        "events 15,011",
        "Closed-Won 4,238",
        "without an account 1,088",
    } <= lines


def test_command_obeys_nothing_of_a_file(tmp_path: Path) -> None:
    """Types and values with markup, escape sequences or changes of direction are shown in the summary and samples."""
    rows = [
        {"id": "1", "type": "[/nothing]", "account": "a\u202eb"},
        {"id": "2", "type": "T\u2066", "account": "B"},
        {"id": "3", "type": {"x\x1b[2J": 1}, "account": "A"},
    ]
    (tmp_path / "f.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "m.yaml").write_text(
        "{topic: crm-events, source: s, rows: {format: ndjson}, time: {format: epoch_ms}, events: [{fields:"
        " {event_id: id, event_time: {const: 5}, type: type, account: account, attributes.a: account}}]}"
    )
    arguments = [str(tmp_path / "f.ndjson"), "-m", str(tmp_path / "m.yaml"), "--dry-run", "--folder", str(tmp_path)]
    said = CliRunner().invoke(command, arguments)
    assert said.exit_code == 0, said.output
    assert "[/nothing]" in said.output
    assert "T\\u2066" in said.output
    assert all(sign == "\n" or sign.isprintable() for sign in said.output), ascii(said.output)


def test_command_fails_when_nothing_came_of_it(tmp_path: Path) -> None:
    """A mapping that fits no row exits with 1."""
    mapping = tmp_path / "m.yaml"
    mapping.write_text(
        "topic: crm-events\nsource: s\nrows: {format: csv}\nevents:\n  - fields: {event_id: opportunity_id,"
        " event_time: {date: engage_date, format: '%Y', zone: UTC, date_only: noon}, type: {const: T}}\n"
    )
    said = CliRunner().invoke(command, [str(PIPELINE), "-m", str(mapping), "--dry-run"])
    assert said.exit_code == 1
    assert "not one event came of this file" in said.output


def test_repeated_ids_are_noticed(settings: Settings, tmp_path: Path) -> None:
    """Events that share an id would count as one; the report says how many do, and the command what to do."""
    (tmp_path / "f.csv").write_text("id,at\n1,2020-01-01T00:00Z\n2,2020-01-01T00:00Z\n1,2020-01-02T00:00Z\n")
    mapping = tmp_path / "m.yaml"
    mapping.write_text(
        "topic: crm-events\nsource: s\nrows: {format: csv}\nevents:\n"
        "  - fields: {event_id: id, event_time: at, type: {const: T}}\n"
    )
    assert import_file(tmp_path / "f.csv", mapping, None, settings).tally.repeated_ids == 1
    assert import_file(PIPELINE, MAVEN, None, settings).tally.repeated_ids == 0
    said = CliRunner().invoke(command, [str(tmp_path / "f.csv"), "-m", str(mapping), "--dry-run"])
    assert "make event_id unique" in said.output


def test_files_that_are_not_there_are_told(settings: Settings, tmp_path: Path) -> None:
    """Neither an absent file nor an absent mapping gives a traceback."""
    with pytest.raises(UnavailableError, match=r"absent\.csv can not be read"):
        import_file(tmp_path / "absent.csv", MAVEN, None, settings)
    with pytest.raises(UnavailableError, match=r"absent\.yaml can not be read"):
        import_file(PIPELINE, tmp_path / "absent.yaml", None, settings)
    with pytest.raises(UsageError, match="no column"):
        import_file(EXAMPLES / "maven_crm" / "accounts.csv", MAVEN, None, settings)
