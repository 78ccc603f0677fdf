"""`milepost generate`: the command, and the way to Kafka."""

import asyncio
import time
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from click.testing import CliRunner, Result

from agents.commands.generate import command, window_ms
from agents.generating import generate_to_kafka
from agents.settings import Settings
from generator.stream import generate
from streams.admin import create_topics, end_offsets
from streams.broker import EmbeddedBroker
from streams.errors import UsageError
from tests.generator.worlds import PLAN

_SMALL = replace(PLAN, events=3_000, accounts=100)


def _generate(*options: str) -> Result:
    return CliRunner().invoke(command, options)


def test_a_file_holds_a_line_per_record(tmp_path: Path) -> None:
    """As many lines as the command says, the same for the same options."""
    files = [tmp_path / "one.ndjson", tmp_path / "two.ndjson"]
    for file in files:
        result = _generate("--events", "2000", "--seed", "3", "--end", "2026-01-01", "--out", str(file))
        assert result.exit_code == 0, result.output
        records = len(file.read_bytes().splitlines())
        assert f"2,000 events in {records:,} records" in result.output
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_rate_can_be_asked_for(tmp_path: Path) -> None:
    """An option for each share of the plan reaches the plan."""
    result = _generate("--events", "2000", "--late", "0", "--no-account", "0", "--out", str(tmp_path / "f"))
    assert "0 arrive late, 0 name no account" in result.output


def test_a_file_is_not_paced(tmp_path: Path) -> None:
    """--rate with --out is refused rather than ignored."""
    result = _generate("--rate", "5", "--out", str(tmp_path / "f"))
    assert isinstance(result.exception, UsageError)


def test_the_window_ends_today_or_begins_where_it_is_told() -> None:
    """Without dates it ends at today's midnight, which is before now; two dates contradict --days."""
    day = 86_400_000
    assert window_ms(None, None, 2, date(1970, 1, 11)) == (8 * day, 10 * day)
    assert window_ms(date(1970, 1, 3), None, 2, date(2000, 1, 1)) == (2 * day, 4 * day)
    assert window_ms(None, date(1970, 1, 3), 2, date(2000, 1, 1)) == (0, 2 * day)
    with pytest.raises(UsageError, match="end 1 days behind today"):
        window_ms(date(1970, 1, 3), None, 2, date(1970, 1, 4))
    with pytest.raises(UsageError, match="0 days long"):
        window_ms(None, None, 0, date(1970, 1, 4))
    with pytest.raises(UsageError, match="give one of them"):
        window_ms(date(1970, 1, 1), date(1970, 1, 3), 2, date(2000, 1, 1))


@pytest.mark.broker
def test_kafka_gets_every_record(kafka: EmbeddedBroker, prefix: str) -> None:
    """What stands in the topics is what was generated, and the report's offsets are the topics' ends."""
    settings = Settings(prefix=prefix, partitions=2)
    create_topics(kafka.bootstrap_servers, prefix, 0, 2, 1)
    report = asyncio.run(generate_to_kafka(_SMALL, kafka.bootstrap_servers, settings))
    ends = {
        (topic, partition): end
        for topic in (f"{prefix}.crm-events", f"{prefix}.web-events")
        for partition, end in end_offsets(kafka.bootstrap_servers, topic).items()
    }
    assert report.end_offsets == {place: end for place, end in ends.items() if end}
    assert sum(ends.values()) == report.truth.records
    made = Counter((f"{prefix}.{topic}", payload) for batch in generate(_SMALL) for topic, payload in batch)
    topics = sorted({topic for topic, _ in made})
    assert asyncio.run(_read(kafka.bootstrap_servers, topics, report.truth.records)) == made


@pytest.mark.broker
def test_a_rate_paces_the_records(kafka: EmbeddedBroker, prefix: str) -> None:
    """3,000 records at 3,000 a second take about a second, are told of on the way and reach every partition."""
    settings, told = Settings(prefix=prefix, partitions=2), list[int]()
    create_topics(kafka.bootstrap_servers, prefix, 0, 2, 1)
    began = time.monotonic()
    report = asyncio.run(generate_to_kafka(_SMALL, kafka.bootstrap_servers, settings, rate=3_000, progress=told.append))
    assert 0.9 < time.monotonic() - began < 5
    assert told[-1] == report.truth.events
    assert len(told) > 10
    assert len(report.end_offsets) == 4


async def _read(bootstrap: str, topics: list[str], records: int) -> Counter[tuple[str, bytes]]:
    read: Counter[tuple[str, bytes]] = Counter()
    deadline = time.monotonic() + 30
    async with AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        while read.total() < records and time.monotonic() < deadline:
            for fetched in (await consumer.getmany(timeout_ms=500)).values():
                read.update((each.topic, each.value) for each in fetched)
    return read
