"""The topics, in the order in which an event flows through them, with what Kafka must hold to keep the numbers exact.

The law: every topic takes `LogAppendTime`. Kafka deletes segments by the time of their records, and events that are
replayed with the time at which they happened would be gone minutes after they arrived. Event time lives in the value.
"""

import base64
from typing import Literal

import msgspec

DAY_MS = 86_400_000
MIB = 2**20
MESSAGE_BYTES_MAX = 8 * MIB
"""The largest record batch of a commit; a worker halves its input rather than exceed it."""
SOURCE_BATCH_BYTES_MAX = MIB
"""The largest record batch of a source, as it is compressed. Far below MESSAGE_BYTES_MAX, so that a record and the
reason why it was rejected fit a dead letter."""


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """One topic of a prefix.

    key: what the records are keyed by. partitions: "all" is the number of the settings, one for all stages.
    generational: the generation stands in its name; it is derived, and another generation builds it anew beside the old
    one.
    cleanup: delete keeps every record (`retention.ms` -1), compact the last of each key.
    """

    name: str
    key: str
    partitions: Literal["all", 1]
    cleanup: Literal["delete", "compact"]
    message_bytes_max: int = MESSAGE_BYTES_MAX
    generational: bool = False
    why: str

    def partition_count(self, partitions: int) -> int:
        """How many partitions it has where every stage has `partitions`."""
        return partitions if self.partitions == "all" else 1

    def config(self) -> dict[str, str]:
        """Its settings on the broker by their Kafka names: what is given at creation and checked later."""
        return {
            "cleanup.policy": self.cleanup,
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": str(self.message_bytes_max),
            "unclean.leader.election.enable": "false",
        } | (_COMPACTED if self.cleanup == "compact" else _KEPT)


# Nothing expires by itself: `check` and rebuilds read touchpoints for ever, a source must not be gone before a worker
# that stood still has read it, and whoever wants to drop old input decides when.
_KEPT = {"retention.ms": "-1", "retention.bytes": "-1"}
# A reader that was away for up to seven days still sees what was deleted. Segments are small because Kafka never
# compacts the one it writes: at the default of 1 GiB a changelog would hold that much per partition before any of it
# is dropped.
_COMPACTED = {"delete.retention.ms": str(7 * DAY_MS), "segment.bytes": str(128 * MIB)}

TOPICS = (
    Topic(
        name="crm-events",
        key="any",
        partitions="all",
        cleanup="delete",
        message_bytes_max=SOURCE_BATCH_BYTES_MAX,
        why="Events from CRM and marketing automation, as they came.",
    ),
    Topic(
        name="web-events",
        key="any",
        partitions="all",
        cleanup="delete",
        message_bytes_max=SOURCE_BATCH_BYTES_MAX,
        why="Events from web sites and applications; apart from the CRM's because volume and owners differ.",
    ),
    Topic(
        name="dead-letters",
        key="topic id, partition, offset",
        partitions="all",
        cleanup="delete",
        why="What ingest rejected: the original bytes, with reason and origin in headers, to be mended and sent again.",
    ),
    Topic(
        name="definitions",
        key="analysis",
        partitions=1,
        cleanup="compact",
        generational=True,
        why="The analyses to compute; one partition, so that every worker reads them in the same order.",
    ),
    Topic(
        name="touchpoints",
        key="account",
        partitions="all",
        cleanup="delete",
        why="What the events mean, duplicates included: the record that every derived number can be rebuilt from.",
    ),
    Topic(
        name="set-aside",
        key="topic id, partition, offset",
        partitions=1,
        cleanup="compact",
        generational=True,
        why="Records on which a computation fails, passed over by hand: by whose word a partition goes on without one.",
    ),
    Topic(
        name="accounts-changelog",
        key="row",
        partitions="all",
        cleanup="compact",
        generational=True,
        why="The accounts stage's rows and input position, a record batch per commit: the truth that its disk copies.",
    ),
    Topic(
        name="journeys",
        key="account",
        partitions="all",
        cleanup="compact",
        generational=True,
        why="Where each account stands now.",
    ),
    Topic(
        name="milestones",
        key="alert id",
        partitions="all",
        cleanup="compact",
        generational=True,
        why="What containers reached, one alert per milestone, container and episode, and its corrections.",
    ),
    Topic(
        name="audience-changes",
        key="audience, container",
        partitions="all",
        cleanup="delete",
        generational=True,
        why="Each entry into an audience and each exit, with its reason.",
    ),
    Topic(
        name="audience-members",
        key="audience, container",
        partitions="all",
        cleanup="compact",
        generational=True,
        why="Who is in each audience now.",
    ),
    Topic(
        name="delivery-orders",
        key="destination, delivery or alert",
        partitions="all",
        cleanup="delete",
        generational=True,
        why="What people order of the deliver agent: destinations and routes, pause, retry; on every partition alike.",
    ),
    Topic(
        name="deliver-changelog",
        key="row",
        partitions="all",
        cleanup="compact",
        generational=True,
        why="The deliver stage's rows and input positions: what is to be sent, and what became of it.",
    ),
    Topic(
        name="deliveries",
        key="delivery id, or !held and a destination",
        partitions="all",
        cleanup="compact",
        generational=True,
        why="Where each delivery stands, for people; dead ones with the reason.",
    ),
    Topic(
        name="partials",
        key="analysis version, cell",
        partitions="all",
        cleanup="compact",
        generational=True,
        why="Each partition's absolute share of every cell, and the covers that say which input it contains.",
    ),
    Topic(
        name="snapshots",
        key="analysis",
        partitions=1,
        cleanup="compact",
        generational=True,
        why="The live result of each analysis; its one partition is also the token that makes one worker the writer.",
    ),
    Topic(
        name="workers",
        key="worker id",
        partitions=1,
        cleanup="compact",
        generational=True,
        why="Where each worker answers questions, and for which partitions: what leads a reader to an account's owner.",
    ),
)

TOPIC_BY_NAME = {topic.name: topic for topic in TOPICS}


def kafka_id(uuid: bytes) -> str:
    """A topic's id, 16 bytes, in the form that Kafka's own tools print: 22 letters."""
    return base64.urlsafe_b64encode(uuid).decode().rstrip("=")


def topic_name(name: str, prefix: str, generation: int) -> str:
    """The name on the broker: `prefix.name`, or `prefix.name.generation` for what a generation builds anew.

    Raises KeyError for a name that is not in the table.
    """
    return f"{prefix}.{name}.{generation}" if TOPIC_BY_NAME[name].generational else f"{prefix}.{name}"
