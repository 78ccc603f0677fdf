"""Which partition an account belongs to, in every topic that is keyed by it."""

from aiokafka.partitioner import murmur2


def partition_of(account: bytes, partition_count: int) -> int:
    """The partition to which every Kafka client's default partitioner sends the key."""
    place: int = (murmur2(account) & 0x7FFFFFFF) % partition_count
    return place
