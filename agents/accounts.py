"""The accounts agent: touchpoints in; journeys, milestones, audiences and partials out, by way of the commit
protocol."""

from functools import partial
from typing import Any

from agents.app import make_app
from agents.definitions_follower import DefinitionsFollower
from agents.metrics import RESTORED, note_commit
from agents.settings import Settings
from state.accounts_stage import OUTPUT_NAMES, AccountsStage, AccountTopics
from state.store import RocksStore
from streams.admin import topic_ids
from streams.batch_event import batch_topic, owned
from streams.errors import UsageError
from streams.lanes import process_side_by_side
from streams.ownership import Heartbeat, Partition
from streams.standby import Standby, Standbys
from streams.store import Store
from streams.topics import topic_name
from streams.writer import Writer, WriterPlan


def make_accounts(settings: Settings, bootstrap: str, definitions: DefinitionsFollower) -> Any:
    """The application of the role accounts. Raises UsageError without definitions."""
    touchpoints, changelog, *outputs = (
        topic_name(name, settings.prefix, settings.generation)
        for name in ("touchpoints", "accounts-changelog", *OUTPUT_NAMES)
    )
    topics = AccountTopics(*outputs)
    if not definitions.current()[1].definitions:
        raise UsageError(
            "no definitions are in force, so there is nothing to count; publish some first, for example "
            "`milepost definitions apply examples/definitions/everyday.yaml`"
        )
    writer_plan = WriterPlan(
        name="accounts",
        bootstrap=bootstrap,
        changelog=changelog,
        inputs=(touchpoints,),
        topic_id_by_name=topic_ids(bootstrap, [touchpoints, changelog]),
        generation=settings.generation,
        set_aside=topic_name("set-aside", settings.prefix, settings.generation),
        poison_restarts_max=settings.poison_restarts_max,
        session_timeout_s=settings.session_timeout_s,
        idle_commit_s=settings.idle_commit_s,
        fence_renewal_s=settings.fence_renewal_s,
    )

    def stage(_: int, store: Store) -> AccountsStage:
        return AccountsStage(definitions.current, topics, store)

    def open_store(number: int) -> RocksStore:
        return RocksStore(settings.worker_folder("accounts") / str(number))

    def writer(partition: Partition, heartbeat: Heartbeat) -> Writer:
        number = partition[1]
        count_rows = RESTORED.labels("owner").inc
        return Writer(
            writer_plan, number, partial(open_store, number), stage, heartbeat, note_commit, count_rows=count_rows
        )

    def standby(partition: Partition) -> Standby:
        number = partition[1]
        count_rows = RESTORED.labels("standby").inc
        return Standby(bootstrap, writer_plan.changelog_of(number), partial(open_store, number), count_rows)

    followed = [(touchpoints, number) for number in range(settings.partitions)] if settings.standby else []
    standbys = Standbys(followed, standby)
    app = make_app(settings, "accounts", bootstrap, {touchpoints: writer}, standbys, writer_plan.topic_id_by_name)

    @app.agent(batch_topic(app, touchpoints), name="accounts")  # type: ignore[untyped-decorator]
    async def apply(stream: Any) -> None:
        await process_side_by_side(stream, _apply)

    return app


async def _apply(event: Any) -> None:
    async with owned(event) as owner:
        await owner.process(event.value)
