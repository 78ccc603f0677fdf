"""What the broker does for an owner, and what an owner never does without knowing: on a real broker."""

import asyncio
import os
import signal
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import KafkaError
from kafka import KafkaAdminClient
from kafka import TopicPartition as KafkaPartition

from streams.batch import one_batch
from streams.broker import EmbeddedBroker
from streams.ending import CLOSE_S_MAX
from streams.errors import LostError, MismatchError, UnavailableError
from streams.fence import EPOCH_MAX, FencedProducer
from tests.state.memory_store import MemoryStore
from tests.streams.toy import Names, assert_exact, make_topics, plan_of, produce, read, read_all, writer_of

pytestmark = pytest.mark.broker


@pytest.fixture
def names(kafka: EmbeddedBroker, prefix: str) -> Names:
    return make_topics(kafka.bootstrap_servers, prefix)


def run(steps: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(steps, 60))


@contextmanager
def stopped(kafka: EmbeddedBroker) -> Iterator[None]:
    """The broker hangs meanwhile, connections open, as in a long pause."""
    os.kill(kafka.pid, signal.SIGSTOP)
    try:
        # A thread on another core goes on for a moment.
        while any(map(_runs, Path(f"/proc/{kafka.pid}/task").glob("*/stat"))):
            time.sleep(0.001)
        yield
    finally:
        os.kill(kafka.pid, signal.SIGCONT)


def _runs(stat: Path) -> bool:
    """Whether the thread is neither stopped nor ended; its name in there may hold blanks and brackets."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0] not in "TZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def one(text: bytes) -> Any:
    return one_batch([(b"k", text)])


def test_a_zombie_is_refused(kafka: EmbeddedBroker, names: Names) -> None:
    """Once the successor has written to a partition, the former owner's plain batch is refused there; not before."""
    bootstrap, mine = kafka.bootstrap_servers, f"{names.changelog}-0"

    async def steps() -> None:
        former = await FencedProducer.start(bootstrap, mine)
        await former.append(names.changelog, 0, one(b"1"))
        await former.append(names.counts, 0, one(b"1"))
        successor = await FencedProducer.start(bootstrap, mine)
        assert successor.identity == (former.identity[0], former.identity[1] + 1)
        await successor.append(names.changelog, 0, one(b"2"))
        with pytest.raises(LostError, match="another owner took over"):
            await former.append(names.changelog, 0, one(b"zombie"))
        # This is why every output gets a fence record before an owner is ready.
        await former.append(names.counts, 0, one(b"still taken"))
        await successor.append(names.counts, 0, one(b"fence"))
        with pytest.raises(LostError, match="another owner took over"):
            await former.append(names.counts, 0, one(b"zombie"))
        await former.close()
        await successor.close()

    run(steps())
    assert [record.value for record in read(bootstrap, names.changelog)] == [b"1", b"2"]
    assert [record.value for record in read(bootstrap, names.counts)] == [b"1", b"still taken", b"fence"]


def test_another_id_fences_nobody(kafka: EmbeddedBroker, names: Names) -> None:
    """Owners of different partitions do not disturb each other."""

    async def steps() -> None:
        one_of, other = [await FencedProducer.start(kafka.bootstrap_servers, f"{names.changelog}-{n}") for n in (0, 1)]
        for _ in range(2):
            await one_of.append(names.changelog, 0, one(b"x"))
            await other.append(names.changelog, 0, one(b"y"))
        await one_of.close()
        await other.close()

    run(steps())
    assert len(read(kafka.bootstrap_servers, names.changelog)) == 4


def test_an_answer_that_does_not_come_stops_the_owner(kafka: EmbeddedBroker, prefix: str, names: Names) -> None:
    """Unknown outcome: nothing is stored or published, and whatever became of the commit, the successor is exact."""
    produce(kafka.bootstrap_servers, names.source, [b"a", b"b"] * 10)
    plan, store = plan_of(kafka.bootstrap_servers, prefix), MemoryStore()

    async def steps() -> None:
        records = await read_all(kafka.bootstrap_servers, names.source)
        writer = writer_of(plan, prefix, lambda: store)
        await writer.open()
        fence = writer._tenure._fence
        assert fence is not None
        fence._request_timeout_s = 0.5
        before = dict(store.rows)
        with stopped(kafka):
            with pytest.raises(LostError, match="unknown"):
                await writer.process(records)
            begun = time.monotonic()
            await writer.close(0.1)
            assert time.monotonic() - begun < 3 * CLOSE_S_MAX
        assert store.rows == before
        successor = writer_of(plan, prefix, MemoryStore)
        await successor.open()
        if successor.start_offset(names.source) == 0:
            await successor.process(records)
        await successor.close(1)

    run(steps())
    assert_exact(kafka.bootstrap_servers, prefix)


def test_a_repeated_batch_without_a_place_stops_the_owner(kafka: EmbeddedBroker, names: Names) -> None:
    """The broker knows that it has the batch but not where (offset -1): not an answer to go on with."""

    async def steps() -> None:
        producer = await FencedProducer.start(kafka.bootstrap_servers, f"{names.changelog}-0")
        for _ in range(8):
            await producer.append(names.changelog, 0, one(b"x"))
        # The broker remembers five batches; this repeats the first.
        producer._producer._txn_manager._sequence_numbers[TopicPartition(names.changelog, 0)] = 0
        with pytest.raises(LostError):
            await producer.append(names.changelog, 0, one(b"x"))
        await producer.close()

    run(steps())
    assert len(read(kafka.bootstrap_servers, names.changelog)) == 8


def test_a_topic_with_a_smaller_limit_is_named(kafka: EmbeddedBroker, names: Names, prefix: str) -> None:
    """A batch that the table of topics allows but the broker does not: the message says where to look."""
    source = f"{prefix}.crm-events"

    async def steps() -> None:
        producer = await FencedProducer.start(kafka.bootstrap_servers, f"{source}-0")
        with pytest.raises(MismatchError, match=r"max\.message\.bytes"):
            await producer.append(source, 0, one(os.urandom(2 << 20)))
        await producer.close()

    run(steps())


def test_a_cluster_that_does_not_answer_is_unavailable(
    kafka: EmbeddedBroker, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a coordinator there is no owner, and the message says what to look at."""
    monkeypatch.setattr("streams.fence.FENCE_S_MAX", 0.0)

    async def steps() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, enable_idempotence=True)
        await producer.client.bootstrap()
        fenced = FencedProducer(producer, "", 5.0)  # the broker knows no empty transactional id
        with pytest.raises(UnavailableError, match="no producer id"):
            await fenced._take_place()
        await fenced.close()

    run(steps())


def test_renewal_is_due_by_age_and_by_epoch(kafka: EmbeddedBroker, names: Names) -> None:
    """A fence is renewed before the broker forgets it, and before the epochs of its producer id end."""

    async def steps() -> None:
        producer = await FencedProducer.start(kafka.bootstrap_servers, f"{names.changelog}-0")
        assert not producer.is_due(60)
        assert producer.is_due(-1)
        state = producer._producer._txn_manager
        state._pid_and_epoch = state._pid_and_epoch._replace(epoch=EPOCH_MAX - 10)
        assert producer.is_due(60)
        await producer.close()

    run(steps())


def test_the_id_comes_from_our_place_in_the_sender(kafka: EmbeddedBroker, names: Names) -> None:
    """Pins aiokafka: the sender asks `_maybe_wait_for_pid` for its identity, stamps plain batches with it, and is not
    in a transaction."""

    async def steps() -> None:
        producer = await FencedProducer.start(kafka.bootstrap_servers, f"{names.changelog}-0")
        inner = producer._producer
        assert inner._txn_manager.transactional_id is None
        assert inner._txn_manager.has_pid()
        await producer.append(names.changelog, 0, one(b"x"))
        assert inner._txn_manager.sequence_number(TopicPartition(names.changelog, 0)) == 1
        assert not inner._sender.sender_task.done()
        await producer.close()
        assert inner._sender.sender_task.done()

    run(steps())


def test_a_cluster_without_brokers_is_asked_again(kafka: EmbeddedBroker, names: Names) -> None:
    """Metadata may come from a broker that sees none just now; aiokafka takes that for a mistake of ours."""

    async def steps() -> None:
        producer = await FencedProducer.start(kafka.bootstrap_servers, f"{names.changelog}-0")
        cluster = producer._producer.client.cluster
        known, cluster._brokers, bootstrap = cluster._brokers, {}, cluster._bootstrap_brokers
        cluster._bootstrap_brokers = {}
        answer = await producer._init_producer_id()
        assert isinstance(answer, KafkaError)
        assert answer.retriable
        cluster._brokers, cluster._bootstrap_brokers = known, bootstrap
        assert not isinstance(await producer._init_producer_id(), Exception)
        await producer.close()

    run(steps())


def test_the_broker_remembers_from_the_time_of_appending(kafka: EmbeddedBroker, names: Names) -> None:
    """Records carry no time of their own; were the broker to count a producer's idleness from that, it would forget
    every fence within minutes. On topics with LogAppendTime it counts from the append."""
    appended: list[int] = []

    async def steps() -> None:
        producer = await FencedProducer.start(kafka.bootstrap_servers, f"{names.changelog}-0")
        appended.append((await producer.append(names.changelog, 0, one(b"x"))).written_at)
        await producer.close()

    run(steps())
    place = KafkaPartition(names.changelog, 0)
    with KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers) as admin:
        (state,) = admin.describe_producers([place])[place].active_producers
    assert [state.last_timestamp] == appended


def test_closing_a_producer_on_a_hanging_broker_leaves_nothing_behind(kafka: EmbeddedBroker, names: Names) -> None:
    """Stock `stop` would wait for its batch for ever; afterwards no task of the producer is left."""

    async def steps() -> None:
        before = asyncio.all_tasks()
        producer = await FencedProducer.start(kafka.bootstrap_servers, f"{names.changelog}-0", request_timeout_s=0.5)
        with stopped(kafka):
            with pytest.raises(LostError, match="unknown"):
                await producer.append(names.changelog, 0, one(b"x"))
            await producer.close()
        deadline = time.monotonic() + 5
        while asyncio.all_tasks() != before:
            assert time.monotonic() < deadline, asyncio.all_tasks() - before
            await asyncio.sleep(0.05)

    run(steps())


def test_brokers_that_do_not_answer_are_named() -> None:
    """A start while Kafka is away ends with a message and not with a traceback."""

    async def steps() -> None:
        with pytest.raises(UnavailableError, match="does not answer"):
            await FencedProducer.start("127.0.0.1:1", "nobody")

    run(steps())


def test_a_cluster_that_names_no_broker_at_first_is_asked_again(
    kafka: EmbeddedBroker, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one does whose broker was paused, for a moment; by itself aiokafka asks again after five minutes."""
    update, answers = ClusterMetadata.update_metadata, []

    def forgetful(cluster: ClusterMetadata, metadata: Any) -> Any:
        answers.append(metadata)
        if len(answers) == 1:
            metadata.brokers = []
        return update(cluster, metadata)

    monkeypatch.setattr(ClusterMetadata, "update_metadata", forgetful)

    async def steps() -> None:
        begun = time.monotonic()
        fenced = await FencedProducer.start(kafka.bootstrap_servers, f"{names.changelog}-0")
        assert time.monotonic() - begun < 10
        assert len(answers) > 1
        await fenced.append(names.changelog, 0, one(b"1"))
        await fenced.close()

    run(steps())
