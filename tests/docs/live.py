"""Touchpoints through the code of a worker: one partition's rows, its records of `partials`, and its answers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from agents.settings import Settings
from state.accounts import Accounts
from state.definition_set import Definition, DefinitionSet
from state.render.flow import Place
from state.render.ranges import Range, dates_text
from state.render.snapshot import snapshot_of
from state.sums import PartialSums
from streams.partials import Tag
from streams.protocol_rows import COMMIT_KEY, CommitRow, Input, encode_commit
from streams.snapshot import Snapshot
from streams.stage import Applied
from streams.store import Row
from streams.touchpoint import Touchpoint
from tests.agents.answers.asking import queries_of
from tests.state.layers_of import layers_of
from tests.state.memory_store import MemoryStore
from tests.state.worlds import Record

TOUCHPOINTS = "touchpoints"
LATENESS_MS = 1000 * int(Settings.model_fields["lateness_s"].default)


class _Readable(MemoryStore):
    """Rows in memory that are read in place."""

    @contextmanager
    def reading(self) -> Iterator[MemoryStore]:
        yield self


class Live:
    """A partition that has applied touchpoints, one by one."""

    def __init__(self, definitions: DefinitionSet, touchpoints: Sequence[Touchpoint], clock_ms: int) -> None:
        self.definitions = definitions
        self._store = _Readable()
        self._partials: list[Row] = []
        accounts = Accounts(layers_of(definitions), self._store)
        for offset, each in enumerate(touchpoints):
            outcome = accounts.compute([Record(each, offset)])
            self._store.apply(outcome.rows)
            applied = Applied(Tag(0, offset), {TOUCHPOINTS: offset}, clock_ms)
            self._partials += accounts.partial_records(outcome, applied)
        inputs = {TOUCHPOINTS: Input(len(touchpoints) - 1, "")}
        self._store.apply([(COMMIT_KEY, encode_commit(CommitRow(0, inputs, clock_ms, definitions.hash, b"")))])

    def definition(self, name: str) -> Definition:
        """The analysis of this name, which there must be."""
        found = self.definitions.named(name)
        assert found is not None, name
        return found

    def sums(self, wanted: Range | None) -> PartialSums:
        """What a reader of `partials` has, over a range (None: all days)."""
        sums = PartialSums(self.definitions.definitions, wanted)
        sums.apply(0, self._partials)
        return sums

    def snapshot(self, name: str, wanted: Range | None = None, through: Sequence[Place] = ()) -> Snapshot:
        """An analysis as it is published, or over a range."""
        definition, sums = self.definition(name), self.sums(wanted)
        days = sums.days(definition.version)
        return snapshot_of(
            definition, sums.totals(definition.version), sums.covers, touchpoints=TOUCHPOINTS,
            lateness_ms=LATENESS_MS, range_dates=None if days is None else dates_text(days), through=through,
        )  # fmt: skip

    def answer(self, path: str, **query: Any) -> bytes:
        """What the worker answers, as JSON."""
        told: list[str] = []
        queries = queries_of(lambda: (0, self.definitions), lambda: {0: self._store})
        wanted = {name: value for name, value in query.items() if value not in (None, ())}
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": urlencode(wanted, doseq=True)}
        body = b"".join(queries(environ, lambda status, _: told.append(status)))
        assert told == ["200 OK"], body
        return body
