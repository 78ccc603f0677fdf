"""The toy as a Faust worker: the same stage behind the transport; an agent without state that copies records; an owner
that holds a partition and reads nothing."""

import asyncio
import json
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from agents.app import is_ready, make_app, run_apps
from agents.settings import Settings
from state.store import RocksStore
from streams.batch import some_batches
from streams.batch_event import batch_topic, handed, owned
from streams.fence import FencedProducer
from streams.lanes import process_side_by_side
from streams.ownership import Heartbeat, Partition
from streams.restore import CountRows
from streams.standby import Standby, Standbys
from streams.topics import topic_name
from streams.writer import Writer
from tests.streams.toy import names_of, plan_of, writer_of

RESTORED: Counter[str] = Counter()
"""Changelog records read, by `owner/PARTITION` and `standby/PARTITION`."""


def make_counts(settings: Settings, bootstrap: str, slow_s: float = 0.0) -> Any:
    """The counting application; `slow_s` before each batch widens the windows for a kill."""
    names, plan = names_of(settings.prefix), plan_of(bootstrap, settings.prefix)
    folder = settings.worker_folder("toy") / "rows"

    def open_store(number: int) -> RocksStore:
        return RocksStore(folder / str(number))

    def counter(who: str, number: int) -> CountRows:
        return lambda count: RESTORED.update({f"{who}/{number}": count})

    def own(partition: Partition, heartbeat: Heartbeat) -> Writer:
        number = partition[1]
        RESTORED.pop(f"owner/{number}", None)
        return writer_of(
            plan,
            settings.prefix,
            partial(open_store, number),
            partition=number,
            heartbeat=heartbeat,
            count_rows=counter("owner", number),
        )

    def stand_by(partition: Partition) -> Standby:
        number = partition[1]
        return Standby(bootstrap, plan.changelog_of(number), partial(open_store, number), counter("standby", number))

    followed = [(names.source, number) for number in range(settings.partitions)] if settings.standby else []
    app = make_app(settings, "toy", bootstrap, {names.source: own}, Standbys(followed, stand_by))

    @app.agent(batch_topic(app, names.source), name="counts")  # type: ignore[untyped-decorator]
    async def counts(stream: Any) -> None:
        await process_side_by_side(stream, count)

    async def count(event: Any) -> None:
        async with owned(event) as writer:
            if slow_s:
                await asyncio.sleep(slow_s)
            await writer.process(event.value)

    return app


def make_copies(settings: Settings, bootstrap: str, slow_s: float = 0.0) -> Any:
    """Copies both sources to the touchpoints, partition by partition, and acknowledges behind it."""
    sources = [topic_name(name, settings.prefix, 0) for name in ("crm-events", "web-events")]
    target = topic_name("touchpoints", settings.prefix, 0)
    app = make_app(settings, "copy", bootstrap, {})
    producers: list[FencedProducer] = []

    @app.agent(batch_topic(app, *sources), name="copies")  # type: ignore[untyped-decorator]
    async def copies(stream: Any) -> None:
        producers.append(await FencedProducer.start(bootstrap, f"{settings.prefix}-copy-{settings.worker_id}"))
        async for event in stream.noack().events():
            async with handed(event) as records:
                if slow_s:
                    await asyncio.sleep(slow_s)
                for batch in some_batches([(record.key, record.value) for record in records]):
                    await producers[-1].append(target, event.message.partition, batch)

    return app


class Token:
    """Notes in a file when it holds its partition."""

    def __init__(self, note: Path) -> None:
        self._note = note

    async def open(self) -> None:
        self._note.write_text("held")

    def start_offset(self, topic: str) -> int | None:
        return None

    async def tend(self) -> None:
        self._note.write_text("tended")

    async def close(self, patience_s: float) -> None:
        self._note.write_text("given up")


def make_token(settings: Settings, bootstrap: str, _: float = 0.0) -> Any:
    """Holds the one partition of `snapshots`; what the topic contains must never reach the agent."""
    topic = topic_name("snapshots", settings.prefix, 0)
    app = make_app(settings, "token", bootstrap, {topic: lambda _, __: Token(settings.folder / "token")})

    @app.agent(batch_topic(app, topic), name="token")  # type: ignore[untyped-decorator]
    async def token(stream: Any) -> None:
        async for _ in stream.noack().events():
            raise AssertionError("a source that is only a token was read")

    return app


MAKE = {"counts": make_counts, "copies": make_copies, "token": make_token}


def applied_of(app: Any) -> dict[str, int]:
    """The last offset per partition that the application's writers have applied."""
    if app._consumer is None:
        return {}
    ownership = app.consumer.ownership
    ready = [p for p, phase in ownership.phases().items() if phase.value == "ready"]
    owners = [(partition, ownership.holding(partition).owner) for partition in ready]
    return {str(p[1]): next(iter(owner.applied.values())) for p, owner in owners if isinstance(owner, Writer)}


def run(bootstrap: str, prefix: str, folder: str, worker: str, role: str, step: str = "10000", slow: str = "0") -> None:
    """Runs until SIGTERM; writes what it has applied to `progress.WORKER` in its folder."""
    settings = Settings(prefix=prefix, folder=Path(folder), worker_id=worker, batch_records_max=int(step))
    apps = [MAKE[each](settings, bootstrap, float(slow)) for each in role.split(",")]
    progress, draft = settings.folder / f"progress.{worker}", settings.folder / f"draft.{worker}"

    @apps[0].task  # type: ignore[untyped-decorator]
    async def report() -> None:
        while True:
            state = {"ready": all(map(is_ready, apps)), "applied": applied_of(apps[0]), "restored": RESTORED}
            draft.write_text(json.dumps(state))
            draft.replace(progress)
            await asyncio.sleep(0.05)

    run_apps(apps, settings)
