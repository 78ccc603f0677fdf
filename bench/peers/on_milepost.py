"""The job on milepost's engine: a stage behind the same transport, commit protocol and store as the accounts stage.

usage: python -m bench.peers.on_milepost BOOTSTRAP SOURCE OUTPUT NAME FOLDER
"""

import sys
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from agents.app import make_app, run_apps
from agents.settings import Settings
from bench.peers.job import PARTITIONS, Place, state_behind
from bench.small_stage import SmallStage
from state.store import RocksStore
from streams.admin import topic_ids
from streams.batch_event import batch_topic, owned
from streams.lanes import process_side_by_side
from streams.ownership import Heartbeat, Partition
from streams.stage import Applied, Publication, Publish, Record, Work
from streams.store import Store
from streams.writer import Writer, WriterPlan

_pack = msgspec.msgpack.Encoder().encode
_unpack_accounts = msgspec.msgpack.Decoder(list[bytes]).decode


def changelog_of(place: Place) -> str:
    """The topic that holds the rows; it must be there."""
    return f"{place.name}-changelog"


class JourneysStage(SmallStage):
    """The states of one partition's accounts, a row each, which is also what is published of them."""

    definitions_hash = "journeys"

    def __init__(self, output: str, store: Store) -> None:
        self.outputs = (output,)
        self._store = store

    def compute(self, records: Sequence[Record], clock_ms: int) -> Work:
        events_by_account: defaultdict[bytes, list[bytes]] = defaultdict(list)
        for record in records:
            events_by_account[record.key].append(record.value)
        accounts = sorted(events_by_account)
        stored = self._store.get(accounts)
        states = [state_behind(was, events_by_account[key]) for key, was in zip(accounts, stored, strict=True)]
        return Work(list(zip(accounts, states, strict=True)), _pack(accounts), self._publish(accounts, states))

    def again(self, pending: bytes) -> Publish:
        accounts = _unpack_accounts(pending)
        states = self._store.get(accounts)
        if None in states:
            raise RuntimeError("a state that the last commit changed is not in the store")
        return self._publish(accounts, [state for state in states if state is not None])

    def idle(self, clock_ms: int) -> Work:
        return Work([], _pack([]), self._publish([], []))

    def _publish(self, accounts: Sequence[bytes], states: Sequence[bytes]) -> Publish:
        """Each state as JSON with the commit's tag in front, of which readers keep the highest."""

        def publish(covered: Applied) -> list[Publication]:
            begin = b'{"tag":[%d,%d],' % (covered.tag.generation, covered.tag.offset)
            records = [(key, begin + state[1:]) for key, state in zip(accounts, states, strict=True)]
            return [Publication(self.outputs[0], list(records), False)]

        return publish


def make_journeys(place: Place) -> tuple[Any, Settings]:
    """The application, and the settings to run it with: the product's defaults."""
    settings = Settings(prefix=place.name, folder=Path(place.folder), partitions=PARTITIONS)
    changelog = changelog_of(place)
    plan = WriterPlan(
        name="journeys",
        bootstrap=place.bootstrap,
        changelog=changelog,
        inputs=(place.source,),
        topic_id_by_name=topic_ids(place.bootstrap, [place.source, changelog]),
        generation=settings.generation,
        session_timeout_s=settings.session_timeout_s,
    )

    def stage(_: int, store: Store) -> JourneysStage:
        return JourneysStage(place.output, store)

    def open_store(number: int) -> Store:
        return RocksStore(settings.worker_folder("journeys") / str(number))

    def own(partition: Partition, heartbeat: Heartbeat) -> Writer:
        return Writer(plan, partition[1], partial(open_store, partition[1]), stage, heartbeat)

    app = make_app(settings, "journeys", place.bootstrap, {place.source: own})

    @app.agent(batch_topic(app, place.source), name="journeys")  # type: ignore[untyped-decorator]  # Faust ships no types
    async def journeys(stream: Any) -> None:
        await process_side_by_side(stream, _apply)

    return app, settings


async def _apply(event: Any) -> None:
    async with owned(event) as writer:
        await writer.process(event.value)


if __name__ == "__main__":
    app, settings = make_journeys(Place.of(sys.argv[1:]))
    run_apps([app], settings)
