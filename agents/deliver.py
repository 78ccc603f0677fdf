"""The deliver agent: orders, alerts and changes of audiences in; requests, mails and files out, by way of the commit
protocol."""

from functools import partial
from typing import Any

from agents.app import make_app
from agents.delivery.dispatcher import Dispatcher
from agents.delivery.owner import DeliverOwner
from agents.delivery.senders import senders_of
from agents.metrics import RESTORED
from agents.settings import Settings
from state.delivery.stage import DeliverStage, Inputs
from state.store import RocksStore
from streams.admin import topic_ids
from streams.batch_event import batch_topic
from streams.ownership import Heartbeat, Partition
from streams.standby import Standby, Standbys
from streams.store import Store
from streams.topics import topic_name
from streams.writer import Writer, WriterPlan


def make_deliver(settings: Settings, bootstrap: str) -> Any:
    """The application of the role deliver."""
    names = ("delivery-orders", "milestones", "audience-changes", "deliveries")
    topics = Inputs(*(topic_name(name, settings.prefix, settings.generation) for name in names))
    changelog = topic_name("deliver-changelog", settings.prefix, settings.generation)
    inputs = (topics.orders, topics.alerts, topics.changes)
    plan = WriterPlan(
        name="deliver",
        bootstrap=bootstrap,
        changelog=changelog,
        inputs=inputs,
        topic_id_by_name=topic_ids(bootstrap, [*inputs, changelog]),
        generation=settings.generation,
        compacted=frozenset((topics.alerts,)),
        set_aside=topic_name("set-aside", settings.prefix, settings.generation),
        poison_restarts_max=settings.poison_restarts_max,
        session_timeout_s=settings.session_timeout_s,
        idle_commit_s=settings.idle_commit_s,
        fence_renewal_s=settings.fence_renewal_s,
    )

    def open_store(number: int) -> RocksStore:
        return RocksStore(settings.worker_folder("deliver") / str(number))

    def owner(partition: Partition, heartbeat: Heartbeat) -> DeliverOwner:
        number = partition[1]
        stages: list[DeliverStage] = []

        def stage(_: int, store: Store) -> DeliverStage:
            stages.append(DeliverStage(topics, store, settings.delivery_retention_s * 1000))
            return stages[-1]

        count_rows = RESTORED.labels("owner").inc
        writer = Writer(plan, number, partial(open_store, number), stage, heartbeat, count_rows=count_rows)

        def dispatcher() -> Dispatcher:
            make = senders_of(settings, bootstrap, number, lambda: writer.now_ms / 1000)
            return Dispatcher(writer, stages[-1], number, settings.partitions, make)

        return DeliverOwner(writer, dispatcher, bootstrap, topics, number)

    def standby(partition: Partition) -> Standby:
        number = partition[1]
        count_rows = RESTORED.labels("standby").inc
        return Standby(bootstrap, plan.changelog_of(number), partial(open_store, number), count_rows)

    followed = [(topics.alerts, number) for number in range(settings.partitions)] if settings.standby else []
    app = make_app(
        settings,
        "deliver",
        bootstrap,
        {topics.alerts: owner},
        Standbys(followed, standby),
        {topic: plan.topic_id_by_name[topic] for topic in inputs},
    )

    @app.agent(batch_topic(app, topics.alerts), name="deliver")  # type: ignore[untyped-decorator]
    async def hold(stream: Any) -> None:
        async for event in stream.noack().events():
            raise AssertionError(f"the owners of {topics.alerts} read it themselves, but {event} came")

    return app
