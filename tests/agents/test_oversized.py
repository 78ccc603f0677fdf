"""What is too large is refused with a reason before it blocks anything, on a real broker: records of a source as large
as compression lets them be, their dead letters, and definitions."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from aiokafka import TopicPartition

from agents.dead_letters import letters, send_again
from agents.defining import apply_definitions, load_definitions
from agents.ingest import Ingest
from agents.reading import read_definitions, read_topic
from agents.settings import Settings
from streams.admin import create_topics
from streams.batch import Batch
from streams.broker import EmbeddedBroker
from streams.errors import UsageError
from streams.event import EVENT_BYTES_MAX
from streams.fence import FencedProducer
from streams.ingest import LETTER_BYTES_MAX
from streams.restore import reader_of
from streams.topics import MIB, SOURCE_BATCH_BYTES_MAX, topic_name

pytestmark = pytest.mark.broker

EVENT = {"version": 1, "event_id": "1", "event_time": 1_700_000_000_000, "source": "s", "type": "A", "account": "acme"}


@pytest.fixture
def settings(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> Settings:
    """Those of a world of its own, whose topics exist."""
    made = Settings(folder=tmp_path, prefix=prefix)
    create_topics(kafka.bootstrap_servers, prefix, made.generation, made.partitions, made.replication)
    return made


async def put_and_ingest(bootstrap: str, settings: Settings, values: list[bytes]) -> None:
    """Appends each record to a source, compressed, alone; then ingest takes them all."""
    topic = topic_name("crm-events", settings.prefix, 0)
    producer = await FencedProducer.start(bootstrap, f"{topic}-source")
    for value in values:
        batch = Batch(1 << 30)
        batch.fill([(b"k", value)])
        await producer.append(topic, 0, batch)
    await producer.close()
    ingest, reader, place = Ingest(settings, bootstrap), reader_of(bootstrap), TopicPartition(topic, 0)
    await reader.start()
    try:
        reader.assign([place])
        reader.seek(place, 0)
        while await reader.position(place) < len(values):
            for records in (await reader.getmany(place, timeout_ms=500)).values():
                await ingest.process(topic, 0, records)
    finally:
        await reader.stop()
        if ingest._producer is not None:
            await ingest._producer.stop()


def test_records_of_any_size_are_dead_letters(kafka: EmbeddedBroker, settings: Settings) -> None:
    """Above the limit of an event, above what a source takes uncompressed, and above what a dead letter copies; an
    event behind them is taken."""
    bootstrap = kafka.bootstrap_servers
    sizes = [EVENT_BYTES_MAX + 1, 2 * MIB, LETTER_BYTES_MAX + MIB]
    records = [b"x" * size for size in sizes] + [msgspec.json.encode(EVENT)]
    asyncio.run(asyncio.wait_for(put_and_ingest(bootstrap, settings, records), 60))
    found = {letter.offset: letter for letter in letters(bootstrap, settings)}
    assert {offset: letter.reason for offset, letter in found.items()} == dict.fromkeys(range(3), "too-large")
    assert [len(found[offset].value or b"") for offset in range(3)] == [*sizes[:2], 0]
    assert f"{sizes[2]} bytes; an event has at most" in found[2].detail
    assert len(list(read_topic(bootstrap, topic_name("touchpoints", settings.prefix, 0)))) == 1
    assert sizes[1] > SOURCE_BATCH_BYTES_MAX
    with pytest.raises(UsageError, match=r"crm-events/0 offset 1 has 2097153 bytes with its key and can not be sent"):
        send_again(bootstrap, settings, letters(bootstrap, settings))
    sent = [each.value for each in read_topic(bootstrap, topic_name("crm-events", settings.prefix, 0))][len(records) :]
    assert sent == records[:1]  # what could be, behind the one that could not as well as before it
    asked = (letter for _ in range(2) for letter in letters(bootstrap, settings) if letter.offset == 0)
    assert send_again(bootstrap, settings, asked) == {topic_name("crm-events", settings.prefix, 0): 1}


def large_definitions(path: Path) -> Path:
    """One analysis of more than a mebibyte, as few may be read."""
    values = ", ".join(f"V{number:050d}" for number in range(700))
    nodes = [f"{{id: n{n}, title: N{n}, match: {{field: type, op: in, value: [{values}]}}}}" for n in range(40)]
    path.write_text(
        "version: 1\nzone: UTC\nweek_start: monday\nanalyses:\n  - name: large\n    title: Large\n    kind: canvas\n"
        "    container: account\n    nodes:\n" + "".join(f"      - {node}\n" for node in nodes)
    )
    return path


def test_a_large_definition_is_published_and_a_larger_one_refused(
    kafka: EmbeddedBroker, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to what its topic holds; above that it is named, and nothing is published."""
    bootstrap, file = kafka.bootstrap_servers, load_definitions(large_definitions(tmp_path / "large.yaml"))
    with monkeypatch.context() as smaller:
        smaller.setattr("agents.definitions_writer.DEFINITION_BYTES_MAX", MIB)
        with pytest.raises(UsageError, match=r"the analysis 'large' takes \d+ bytes, and .* holds 1048576 at most"):
            apply_definitions(file, bootstrap, settings, 0)
    assert not read_definitions(bootstrap, settings).definitions
    assert apply_definitions(file, bootstrap, settings, 0).published == ["large"]
    assert [each.analysis.name for each in read_definitions(bootstrap, settings).definitions] == ["large"]
