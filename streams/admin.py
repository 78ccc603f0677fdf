"""Topics on a broker: makes what is missing, tells what differs from the table, gives ids and offsets.

The law: nothing that exists is ever changed here. A difference is reported, with whether going on would corrupt.
"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.errors import KafkaError, KafkaTimeoutError, NoError, TopicAlreadyExistsError, for_code

from streams.bootstrap import client_options, unreachable
from streams.errors import MismatchError, UnavailableError, UsageError
from streams.topics import DAY_MS, MESSAGE_BYTES_MAX, MIB, SOURCE_BATCH_BYTES_MAX, TOPICS, Topic, kafka_id, topic_name

CONNECT_MS = 5_000
REQUEST_MS = 30_000
REQUEST_PARTITIONS_MAX = 5_000
"""To be made by one request; Kafka takes 10,000."""
SOURCE_BYTES_MAX = MESSAGE_BYTES_MAX - MIB
"""What a source may take at once at most: a record of it, whatever is wrong with it, must fit a dead letter."""
EXPIRATION = "transactional.id.expiration.ms"
EXPIRATION_MS_MIN = 2 * DAY_MS
"""An owner fences itself anew at least daily; the broker must remember its fence for longer than that."""


class Difference(msgspec.Struct, frozen=True):
    """One thing that is not as the table of topics promises. `corrupts` when a worker must not start on it."""

    topic: str
    what: str
    found: str
    promised: str
    corrupts: bool

    def __str__(self) -> str:
        return f"{self.topic}: {self.what} is {self.found}, promised is {self.promised}"


def create_topics(bootstrap: str, prefix: str, generation: int, partitions: int, replication: int) -> list[str]:
    """Makes the topics that are missing and waits for their leaders; returns their names in flow order.

    Those that exist are left as they are. Raises UsageError when the cluster refuses one, UnavailableError when it can
    not be reached.
    """
    wanted = {topic_name(topic.name, prefix, generation): topic for topic in TOPICS}
    with _admin(bootstrap) as admin:
        missing = {name: topic for name, topic in wanted.items() if name not in _describe(admin, wanted)}
        if not missing:
            return []
        answers = [
            answer
            for some in _requests(missing, partitions)
            for answer in admin.create_topics(
                {name: _order(missing[name], partitions, replication) for name in some},
                timeout_ms=REQUEST_MS,
                raise_errors=False,
            )["topics"]
        ]
        made = [answer["name"] for answer in answers if _is_made(answer)]
        admin.wait_for_topics(list(missing), timeout_ms=REQUEST_MS)
    return [name for name in missing if name in made]


def _requests(topics: dict[str, Topic], partitions: int) -> Iterator[list[str]]:
    """The names of topics in requests of at most REQUEST_PARTITIONS_MAX partitions, as few as that makes."""
    some: list[str] = []
    count = 0
    for name, topic in topics.items():
        own = topic.partition_count(partitions)
        if some and count + own > REQUEST_PARTITIONS_MAX:
            yield some
            some, count = [], 0
        some.append(name)
        count += own
    yield some


def delete_topics(bootstrap: str, prefix: str, generation: int) -> None:
    """Deletes all topics of a prefix and generation that are there."""
    names = [topic_name(topic.name, prefix, generation) for topic in TOPICS]
    with _admin(bootstrap) as admin:
        there = sorted(set(names) & set(admin.list_topics()))
        if there:
            admin.delete_topics(there)


def _order(topic: Topic, partitions: int, replication: int) -> dict[str, Any]:
    """One topic as the client wants it."""
    # With three replicas a commit is acknowledged by two, so that the loss of one broker loses nothing.
    config = topic.config() | {"min.insync.replicas": str(_insync(replication))}
    count = topic.partition_count(partitions)
    return {"num_partitions": count, "replication_factor": replication, "configs": config}


def _insync(replication: int) -> int:
    """How many replicas must have a record before it is acknowledged."""
    return max(1, replication - 1)


def _is_made(answer: dict[str, Any]) -> bool:
    """Whether the topic was made now; False when another process was faster. Raises UsageError for a refusal."""
    error = for_code(answer["error_code"])
    if error is TopicAlreadyExistsError:
        return False
    if error is not NoError:
        reason = answer.get("error_message") or error.__name__
        raise UsageError(f"Kafka refused to make the topic {answer['name']}: {reason}")
    return True


def check_topics(bootstrap: str, prefix: str, generation: int, partitions: int, replication: int) -> list[Difference]:
    """What differs from the table, in flow order; empty when all is as promised.

    Raises UnavailableError when the cluster can not be reached.
    """
    wanted = {topic_name(topic.name, prefix, generation): topic for topic in TOPICS}
    with _admin(bootstrap) as admin:
        found = _describe(admin, wanted)
        config_by_topic, expirations = _configs(admin, list(found))
    differences: list[Difference] = []
    for name, topic in wanted.items():
        if name in found:
            differences += _layout_differences(name, topic, found[name]["partitions"], partitions, replication)
            differences += _config_differences(name, topic, config_by_topic[name], replication)
        else:
            differences.append(Difference(name, "topic", "missing", "there", True))
    return [*differences, *_expiration_differences(expirations)]


def require_topics(bootstrap: str, prefix: str, generation: int, partitions: int, replication: int) -> None:
    """Returns when a worker may start on these topics.

    Raises MismatchError with all that would corrupt, UnavailableError when the cluster can not be reached.
    """
    fatal = [each for each in check_topics(bootstrap, prefix, generation, partitions, replication) if each.corrupts]
    if fatal:
        raise MismatchError(
            f"The topics on {bootstrap} are not those that a worker can be exact on:\n"
            + "".join(f"  {each}\n" for each in fatal)
            + "`milepost topics create` makes those that are missing. For what differs, give --partitions as it was"
            " when they were made, put a setting right with Kafka's own tools, or use another --prefix or --generation."
        )


def _layout_differences(
    name: str, topic: Topic, found: Sequence[dict[str, Any]], partitions: int, replication: int
) -> Iterator[Difference]:
    """Partitions and replicas of one topic."""
    promised = topic.partition_count(partitions)
    if len(found) != promised:
        yield Difference(name, "partition count", str(len(found)), str(promised), True)
    replicas = min((len(each["replica_nodes"]) for each in found), default=0)
    # More copies than promised are the operator's good right; fewer lose data only when a broker is lost.
    if replicas < replication:
        yield Difference(name, "replication", str(replicas), str(replication), False)


def _as_promised(found: str, promised: str) -> bool:
    return found == promised


def _at_least(found: str, promised: str) -> bool:
    return int(found) >= int(promised)


def _takes_enough(found: str, promised: str) -> bool:
    is_source = int(promised) == SOURCE_BATCH_BYTES_MAX
    return int(found) >= int(promised) and not (is_source and int(found) > SOURCE_BYTES_MAX)


_Rule = tuple[Callable[[str, str], bool], bool]
# How a setting is compared, and whether another value corrupts. `segment.bytes` is not listed: it is disk space only.
_RULE_BY_CONFIG: dict[str, _Rule] = {
    "cleanup.policy": (_as_promised, True),
    "message.timestamp.type": (_as_promised, True),
    "max.message.bytes": (_takes_enough, True),
    "unclean.leader.election.enable": (_as_promised, True),
    "delete.retention.ms": (_at_least, True),
    "retention.ms": (_as_promised, False),
    "retention.bytes": (_as_promised, False),
    "min.insync.replicas": (_at_least, False),
}


def _config_differences(name: str, topic: Topic, found: dict[str, str], replication: int) -> Iterator[Difference]:
    """The settings of one topic."""
    promised_by_key = topic.config() | {"min.insync.replicas": str(_insync(replication))}
    for key, (holds, corrupts) in _RULE_BY_CONFIG.items():
        promised = promised_by_key.get(key)
        if promised is not None and not holds(found[key], promised):
            # A source that expires early is a loud error of its reader; touchpoints that do are a wrong number.
            kept = topic.name == "touchpoints" and key.startswith("retention.")
            is_over = holds is _takes_enough and int(found[key]) > int(promised)
            said = f"at most {SOURCE_BYTES_MAX}, for a dead letter must hold it" if is_over else promised
            yield Difference(name, key, found[key], said, corrupts or kept)


def _expiration_differences(found_by_broker: dict[str, str]) -> Iterator[Difference]:
    """How long each broker remembers a fence without transactions."""
    for broker, found in found_by_broker.items():
        if int(found) < EXPIRATION_MS_MIN:
            yield Difference(
                f"broker {broker}", EXPIRATION, found, f"at least {EXPIRATION_MS_MIN}", int(found) <= DAY_MS
            )


def topic_ids(bootstrap: str, names: Sequence[str]) -> dict[str, str]:
    """Each topic's id as Kafka writes it (22 letters); a topic that is deleted and made again has another one.

    Raises UnavailableError when a topic is missing or the cluster can not be reached.
    """
    with _admin(bootstrap) as admin:
        found = _describe(admin, names)
    for name in names:
        if name not in found:
            raise UnavailableError(_no_topic(name, bootstrap))
    return {name: kafka_id(uuid.UUID(found[name]["topic_id"]).bytes) for name in names}


def start_offsets(bootstrap: str, topic: str) -> dict[int, int]:
    """The offset of the first record that each partition still has, by partition in their order."""
    return _offsets(bootstrap, topic, OffsetSpec.EARLIEST)


def end_offsets(bootstrap: str, topic: str) -> dict[int, int]:
    """The offset that the next record of each partition will get, by partition in their order."""
    return _offsets(bootstrap, topic, OffsetSpec.LATEST)


def _offsets(bootstrap: str, topic: str, which: OffsetSpec) -> dict[int, int]:
    with _admin(bootstrap) as admin:
        found = _describe(admin, [topic]).get(topic)
        if found is None:
            raise UnavailableError(_no_topic(topic, bootstrap))
        numbers = sorted(each["partition_index"] for each in found["partitions"])
        answers = admin.list_partition_offsets({TopicPartition(topic, number): which for number in numbers})
    return {number: int(answers[TopicPartition(topic, number)].offset) for number in numbers}


def _no_topic(name: str, bootstrap: str) -> str:
    return f"The topic {name} is not on {bootstrap}. `milepost topics create` with this prefix and generation makes it."


def _describe(admin: KafkaAdminClient, names: Sequence[str] | dict[str, Topic]) -> dict[str, dict[str, Any]]:
    """Metadata of those that exist, by name."""
    return {
        each["name"]: each for each in admin.describe_topics(list(names)) if for_code(each["error_code"]) is NoError
    }


def _configs(admin: KafkaAdminClient, topics: Sequence[str]) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """All settings of the topics, and how long each broker remembers fences; one that does not tell is not listed."""
    brokers = [str(each["broker_id"]) for each in admin.describe_cluster()["brokers"]]
    told = admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name) for name in topics], config_filter="all"
    )
    by_topic = {name: _values(config) for name, config in told.get("topic", {}).items()}
    expirations = {broker: _expiration(admin, broker) for broker in brokers}
    return by_topic, {broker: found for broker, found in expirations.items() if found is not None}


def _expiration(admin: KafkaAdminClient, broker: str) -> str | None:
    """How long a broker remembers fences; None when it does not tell, as one that is down."""
    try:
        told = admin.describe_configs(
            [ConfigResource(ConfigResourceType.BROKER, broker, [EXPIRATION])], config_filter="all"
        )
    except KafkaError:
        return None
    return _values(told.get("broker", {}).get(broker, {})).get(EXPIRATION)


def _values(config: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {key: setting["value"] for key, setting in config.items()}


@contextmanager
def _admin(bootstrap: str) -> Iterator[KafkaAdminClient]:
    """A connected admin client; what Kafka can not do becomes an UnavailableError."""
    try:
        admin = KafkaAdminClient(
            **client_options(bootstrap), bootstrap_timeout_ms=CONNECT_MS, request_timeout_ms=REQUEST_MS
        )
    except (KafkaTimeoutError, OSError) as error:
        raise unreachable(bootstrap, error) from error
    try:
        yield admin
    except KafkaError as error:
        raise UnavailableError(f"Kafka at {bootstrap} did not do what it was asked to: {error!r}"[:1000]) from error
    finally:
        admin.close()
