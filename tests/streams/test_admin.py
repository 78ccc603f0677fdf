"""Topics made, compared and measured on a real broker."""

import time
from collections.abc import Callable

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType

from streams.admin import (
    SOURCE_BYTES_MAX,
    Difference,
    check_topics,
    create_topics,
    end_offsets,
    require_topics,
    start_offsets,
    topic_ids,
)
from streams.broker import EmbeddedBroker
from streams.errors import MismatchError, UnavailableError, UsageError
from streams.topics import DAY_MS, TOPICS, topic_name
from tests.streams.toy import create_again

pytestmark = pytest.mark.broker


@pytest.fixture
def change(kafka: EmbeddedBroker) -> Callable[[str, str, str], None]:
    """Changes one setting of a topic behind milepost's back and waits until the broker tells the new value."""

    def to(topic: str, key: str, value: str) -> None:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, {key: value})
        asked = ConfigResource(ConfigResourceType.TOPIC, topic)
        with KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers) as admin:
            admin.alter_configs([resource])
            deadline = time.monotonic() + 10
            told = None
            while told != value and time.monotonic() < deadline:
                told = admin.describe_configs([asked], config_filter="all")["topic"][topic][key]["value"]
        assert told == value

    return to


def test_created_topics_are_as_promised(kafka: EmbeddedBroker, prefix: str) -> None:
    """Creation makes every topic in flow order, a second one makes none, and the check finds nothing."""
    names = [topic_name(topic.name, prefix, 2) for topic in TOPICS]
    assert create_topics(kafka.bootstrap_servers, prefix, 2, 3, 1) == names
    assert create_topics(kafka.bootstrap_servers, prefix, 2, 3, 1) == []
    assert check_topics(kafka.bootstrap_servers, prefix, 2, 3, 1) == []
    require_topics(kafka.bootstrap_servers, prefix, 2, 3, 1)


def test_missing_topics_are_told_and_made(kafka: EmbeddedBroker, prefix: str) -> None:
    """A new generation shares the sources and lacks what is derived; creation adds only that."""
    create_topics(kafka.bootstrap_servers, prefix, 0, 1, 1)
    derived = [topic_name(topic.name, prefix, 1) for topic in TOPICS if topic.generational]
    missing = check_topics(kafka.bootstrap_servers, prefix, 1, 1, 1)
    assert missing == [Difference(name, "topic", "missing", "there", True) for name in derived]
    assert create_topics(kafka.bootstrap_servers, prefix, 1, 1, 1) == derived


def test_partition_count_that_differs_stops_a_worker(kafka: EmbeddedBroker, prefix: str) -> None:
    """Keys would move between partitions, so the worker refuses and is told both numbers."""
    create_topics(kafka.bootstrap_servers, prefix, 0, 2, 1)
    found = check_topics(kafka.bootstrap_servers, prefix, 0, 5, 1)
    assert Difference(f"{prefix}.touchpoints", "partition count", "2", "5", True) in found
    assert {each.what for each in found} == {"partition count"}
    assert len(found) == sum(topic.partitions == "all" for topic in TOPICS)
    with pytest.raises(MismatchError, match=f"{prefix}.touchpoints: partition count is 2, promised is 5"):
        require_topics(kafka.bootstrap_servers, prefix, 0, 5, 1)


def test_many_partitions_are_made_by_several_requests(
    kafka: EmbeddedBroker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka takes so many at once only: 1,024 of each topic are more."""
    monkeypatch.setattr("streams.admin.REQUEST_PARTITIONS_MAX", 5)
    names = [topic_name(topic.name, prefix, 0) for topic in TOPICS]
    assert create_topics(kafka.bootstrap_servers, prefix, 0, 3, 1) == names
    assert check_topics(kafka.bootstrap_servers, prefix, 0, 3, 1) == []


def test_fewer_replicas_are_told_and_stop_nobody(kafka: EmbeddedBroker, prefix: str) -> None:
    """One copy of a topic that three were promised for is exact as long as it lives."""
    create_topics(kafka.bootstrap_servers, prefix, 0, 1, 1)
    found = check_topics(kafka.bootstrap_servers, prefix, 0, 1, 3)
    assert Difference(f"{prefix}.journeys.0", "replication", "1", "3", False) in found
    assert Difference(f"{prefix}.journeys.0", "min.insync.replicas", "1", "2", False) in found
    assert not any(each.corrupts for each in found)


@pytest.mark.parametrize(
    ("topic", "key", "value", "corrupts"),
    [
        ("touchpoints", "cleanup.policy", "compact", True),
        ("touchpoints", "retention.ms", "604800000", True),
        ("touchpoints", "retention.bytes", "1000000", True),
        ("crm-events", "retention.ms", "604800000", False),
        ("crm-events", "message.timestamp.type", "CreateTime", True),
        ("crm-events", "max.message.bytes", "16777216", True),
        ("web-events", "max.message.bytes", "100000", True),
        ("accounts-changelog", "cleanup.policy", "delete", True),
        ("accounts-changelog", "max.message.bytes", "1048588", True),
        ("accounts-changelog", "delete.retention.ms", "1000", True),
        ("partials", "unclean.leader.election.enable", "true", True),
    ],
)
def test_each_setting_that_differs_is_told(
    kafka: EmbeddedBroker,
    prefix: str,
    change: Callable[[str, str, str], None],
    topic: str,
    key: str,
    value: str,
    corrupts: bool,
) -> None:
    """One setting changed on the broker is one difference, with what was found and whether it corrupts."""
    create_topics(kafka.bootstrap_servers, prefix, 0, 1, 1)
    name = topic_name(topic, prefix, 0)
    change(name, key, value)
    found = check_topics(kafka.bootstrap_servers, prefix, 0, 1, 1)
    assert [(each.topic, each.what, each.found, each.corrupts) for each in found] == [(name, key, value, corrupts)]
    if corrupts:
        with pytest.raises(MismatchError, match=key):
            require_topics(kafka.bootstrap_servers, prefix, 0, 1, 1)
    else:
        require_topics(kafka.bootstrap_servers, prefix, 0, 1, 1)


def test_larger_limits_are_no_difference(
    kafka: EmbeddedBroker, prefix: str, change: Callable[[str, str, str], None]
) -> None:
    """Whoever allows larger batches or keeps tombstones for longer harms nobody."""
    create_topics(kafka.bootstrap_servers, prefix, 0, 1, 1)
    change(f"{prefix}.partials.0", "max.message.bytes", "16777216")
    change(f"{prefix}.crm-events", "max.message.bytes", str(SOURCE_BYTES_MAX))
    change(f"{prefix}.partials.0", "delete.retention.ms", "1209600000")
    assert check_topics(kafka.bootstrap_servers, prefix, 0, 1, 1) == []


def test_short_memory_of_fences_is_told(kafka: EmbeddedBroker, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """How long the broker remembers a fence is read from it: seven days here, too few for whoever asks for eight."""
    create_topics(kafka.bootstrap_servers, prefix, 0, 1, 1)
    monkeypatch.setattr("streams.admin.EXPIRATION_MS_MIN", 8 * DAY_MS)
    [found] = check_topics(kafka.bootstrap_servers, prefix, 0, 1, 1)
    assert (found.topic, found.what) == ("broker 1", "transactional.id.expiration.ms")
    assert (found.found, found.corrupts) == (str(7 * DAY_MS), False)


def test_impossible_replication_is_refused(kafka: EmbeddedBroker, prefix: str) -> None:
    """Three copies on one broker are an error in Kafka's words, and nothing is made."""
    with pytest.raises(UsageError, match="replication"):
        create_topics(kafka.bootstrap_servers, prefix, 0, 1, 3)
    assert all(each.found == "missing" for each in check_topics(kafka.bootstrap_servers, prefix, 0, 1, 1))


def test_topic_id_changes_when_a_topic_is_made_again(kafka: EmbeddedBroker, prefix: str) -> None:
    """A topic of the same name that was deleted in between is another one."""
    name = f"{prefix}.touchpoints"
    create_topics(kafka.bootstrap_servers, prefix, 0, 1, 1)
    first = topic_ids(kafka.bootstrap_servers, [name, f"{prefix}.web-events"])
    assert len(set(first.values())) == 2
    assert all(len(each) == 22 for each in first.values())
    assert topic_ids(kafka.bootstrap_servers, [name])[name] == first[name]
    with KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers) as admin:
        admin.delete_topics([name])
    create_again(kafka.bootstrap_servers, prefix, 1)
    assert topic_ids(kafka.bootstrap_servers, [name])[name] != first[name]


def test_offsets_are_those_of_each_partition(kafka: EmbeddedBroker, prefix: str) -> None:
    """The start and the end of every partition, with what was deleted and what was written."""
    name = f"{prefix}.web-events"
    create_topics(kafka.bootstrap_servers, prefix, 0, 3, 1)
    with KafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
        for partition in (0, 2, 2, 2):
            producer.send(name, b"event", partition=partition).get(10)
    assert end_offsets(kafka.bootstrap_servers, name) == {0: 1, 1: 0, 2: 3}
    assert start_offsets(kafka.bootstrap_servers, name) == {0: 0, 1: 0, 2: 0}


def test_absent_topic_and_absent_broker_are_errors_with_advice(kafka: EmbeddedBroker, prefix: str) -> None:
    """The message names what is missing and the command or the option that helps."""
    with pytest.raises(UnavailableError, match="milepost topics create"):
        end_offsets(kafka.bootstrap_servers, f"{prefix}.touchpoints")
    with pytest.raises(UnavailableError, match="milepost topics create"):
        topic_ids(kafka.bootstrap_servers, [f"{prefix}.touchpoints"])
    with pytest.raises(UnavailableError, match="--bootstrap-servers"):
        check_topics("127.0.0.1:9", prefix, 0, 1, 1)
