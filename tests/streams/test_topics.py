"""The table of topics holds what the architecture asks of every one of them."""

import pytest

from streams.topics import MESSAGE_BYTES_MAX, SOURCE_BATCH_BYTES_MAX, TOPIC_BY_NAME, TOPICS, Topic, topic_name

each_topic = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)


def test_topics_stand_in_the_order_of_the_flow() -> None:
    """A newcomer reads the table from the source to the snapshot."""
    assert [topic.name for topic in TOPICS] == [
        "crm-events",
        "web-events",
        "dead-letters",
        "definitions",
        "touchpoints",
        "set-aside",
        "accounts-changelog",
        "journeys",
        "milestones",
        "audience-changes",
        "audience-members",
        "partials",
        "snapshots",
        "workers",
    ]


@each_topic
def test_broker_stamps_the_records(topic: Topic) -> None:
    """Replayed history must not be deleted for being old, and no replica without the record may lead."""
    assert topic.config()["message.timestamp.type"] == "LogAppendTime"
    assert topic.config()["unclean.leader.election.enable"] == "false"


@each_topic
def test_nothing_is_lost_by_time(topic: Topic) -> None:
    """What is not compacted has no time limit; what is keeps tombstones for the week that a restore may take."""
    config = topic.config()
    if topic.cleanup == "delete":
        assert (config["retention.ms"], config["retention.bytes"]) == ("-1", "-1")
    else:
        assert int(config["delete.retention.ms"]) == 7 * 24 * 3600 * 1000


@each_topic
def test_generation_stands_in_the_names_of_what_is_derived(topic: Topic) -> None:
    """Sources, dead letters and touchpoints outlive a generation; the rest belongs to it."""
    derived = topic.name in {
        "set-aside",
        "definitions",
        "accounts-changelog",
        "journeys",
        "milestones",
        "audience-changes",
        "audience-members",
        "partials",
        "snapshots",
        "workers",
    }
    assert topic_name(topic.name, "acme", 3) == (f"acme.{topic.name}.3" if derived else f"acme.{topic.name}")


def test_one_partition_where_order_or_ownership_needs_it() -> None:
    """What people write is read in one order, snapshots have one writer; all else scales with the partitions."""
    single = {topic.name for topic in TOPICS if topic.partition_count(8) == 1}
    assert single == {"definitions", "set-aside", "snapshots", "workers"}
    assert all(topic.partition_count(8) == 8 for topic in TOPICS if topic.name not in single)


def test_dead_letter_holds_any_event() -> None:
    """The largest event fits a dead letter with room for reason and origin."""
    assert TOPIC_BY_NAME["crm-events"].message_bytes_max == SOURCE_BATCH_BYTES_MAX
    assert TOPIC_BY_NAME["dead-letters"].message_bytes_max == MESSAGE_BYTES_MAX >= 2 * SOURCE_BATCH_BYTES_MAX


def test_unknown_topic_is_a_mistake_of_the_caller() -> None:
    """A name outside the table never becomes a topic."""
    with pytest.raises(KeyError):
        topic_name("audiences", "acme", 0)
